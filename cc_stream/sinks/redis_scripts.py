"""The scripts that write into Redis: each compares orders, so that a late writer cannot win.

All values are absolute. Fields and values come as one JSON list of texts, because a client packs
one argument ten times as fast as a hundred; many views are one call, because each is packed and its
answer parsed. The answer is the numbers (from 1) of those that a higher order kept out: none,
nearly always. A script lists what it wrote and tells of it, so that an update is one round trip and
a reader never hears of a key that is not there yet. Redis 6.2 is enough. Orders are digits of fixed
width, so they compare alike under every locale.
"""

from typing import Final

_KEEP: Final = """
local keep, as_of, listed, told = tonumber(ARGV[1]), tonumber(ARGV[2]), {}, {}
local function list(index, name)
  redis.call('ZADD', index, 'GT', as_of + keep, name)
  listed[index] = true
end
-- Days and not moments count: an expiry is put off when a tenth of it has gone. Whether it was.
local function put_off(key)
  return redis.call('PTTL', key) < 0.9 * keep and redis.call('PEXPIRE', key, keep) == 1
end
local function finish()
  for index in pairs(listed) do
    redis.call('ZREMRANGEBYSCORE', index, '-inf', as_of)
    redis.call('PEXPIRE', index, keep)
  end
  if ARGV[3] ~= '' and #told > 0 then redis.call('PUBLISH', ARGV[3], cjson.encode(told)) end
end
"""
"""ARGV of each script: expiry in ms, as_of, the channel of notices or '' for none, then its own."""

PUT_VIEWS: Final = (
    _KEEP
    + """
-- KEYS: hashes, the indexes that list them, the index of tenants. ARGV: the tenant or '', JSON list
-- with the place in KEYS of each hash's index, a JSON list 'order', order, field, value, … for each
local vector = {'vector', 'live_vector', 'vector_as_of_ms'}
local function put(key, fields)
  redis.call('HSET', key, unpack(fields))
  local others = redis.call('HLEN', key) - #fields / 2
  if others ~= 0 then
    -- The vector is told less often than the figures: the last one stays until the next.
    local kept = redis.call('HMGET', key, unpack(vector))
    local has_vector = false
    for i = 1, #fields, 2 do has_vector = has_vector or fields[i] == 'vector' end
    if has_vector or others ~= 3 or not kept[3] then
      redis.call('DEL', key)
      for i, name in ipairs(vector) do
        if kept[i] then redis.call('HSET', key, name, kept[i]) end
      end
      redis.call('HSET', key, unpack(fields))
    end
  end
end
local late, failure = {}, nil
for i, at in ipairs(cjson.decode(ARGV[5])) do
  local key, fields = KEYS[i], cjson.decode(ARGV[i + 5])
  local stored = redis.pcall('HGET', key, 'order')
  if type(stored) == 'table' then
    failure = stored  -- no hash: told when the others are written
  elseif stored and stored > fields[2] then
    late[#late + 1] = i
  else
    put(key, fields)
    told[#told + 1] = key
    if put_off(key) then
      list(KEYS[at], key)
      if ARGV[4] ~= '' then list(KEYS[#KEYS], ARGV[4]) end
    end
  end
end
finish()
return failure or late
"""
)
"""Replaces hashes, each unless what is there has a higher order.

Nearly always the fields are those that are there, and to write over them is the least work.
"""

PUT_BOARDS: Final = (
    _KEEP
    + """
-- KEYS: the index of the parts; of each board scores, rows, part. ARGV: of each board order, head,
-- members, JSON list score, row, …
local late = {}
local function put(scores_key, rows_key, part_key, order, head, members, rows)
  local named, rows = {}, cjson.decode(rows)
  local scores, lines, unranked, gone = {}, {}, {}, {}
  for i, member in ipairs(cjson.decode(members)) do
    named[member] = true
    local score = rows[2 * i - 1]
    if score ~= '' then
      scores[#scores + 1], scores[#scores + 2] = score, member
    else
      unranked[#unranked + 1] = member
    end
    lines[#lines + 1], lines[#lines + 2] = member, rows[2 * i]
  end
  for _, member in ipairs(cjson.decode(redis.call('HGET', part_key, 'members') or '[]')) do
    if not named[member] then gone[#gone + 1] = member end
  end
  if #gone > 0 then
    redis.call('ZREM', scores_key, unpack(gone))
    redis.call('HDEL', rows_key, unpack(gone))
  end
  if #unranked > 0 then redis.call('ZREM', scores_key, unpack(unranked)) end
  if #scores > 0 then redis.call('ZADD', scores_key, unpack(scores)) end
  if #lines > 0 then redis.call('HSET', rows_key, unpack(lines)) end
  redis.call('HSET', part_key, 'order', order, 'head', head, 'members', members)
  -- Each by itself: one that had no rows for a while was gone.
  put_off(scores_key)
  put_off(rows_key)
  if put_off(part_key) then list(KEYS[1], part_key) end
  told[#told + 1] = scores_key
end
for i = 1, (#KEYS - 1) / 3 do
  local key, arg = 3 * i - 1, 4 * i
  local stored = redis.call('HGET', KEYS[key + 2], 'order')
  if stored and stored > ARGV[arg] then
    late[#late + 1] = i
  else
    put(KEYS[key], KEYS[key + 1], KEYS[key + 2], unpack(ARGV, arg, arg + 3))
  end
end
finish()
return late
"""
)
"""Replaces one part's rows of each leaderboard, and leaves those of other parts alone."""

PUT_ALERTS: Final = (
    _KEEP
    + """
-- KEYS: alerts, part. ARGV: order, whole, JSON list field, record or '' if cleared, …
local stored = redis.call('HGET', KEYS[2], 'order')
if stored and stored > ARGV[4] then return {1} end
local mine = {}
for _, field in ipairs(cjson.decode(redis.call('HGET', KEYS[2], 'members') or '[]')) do
  if ARGV[5] == '1' then redis.call('HDEL', KEYS[1], field) else mine[field] = true end
end
local changes = cjson.decode(ARGV[6])
for i = 1, #changes, 2 do
  if changes[i + 1] == '' then
    redis.call('HDEL', KEYS[1], changes[i])
    mine[changes[i]] = nil
  else
    redis.call('HSET', KEYS[1], changes[i], changes[i + 1])
    mine[changes[i]] = true
  end
end
local members = {}
for field in pairs(mine) do members[#members + 1] = field end
redis.call('HSET', KEYS[2], 'order', ARGV[4], 'members', cjson.encode(members))
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], keep) end
told = {KEYS[1]}
finish()
return {}
"""
)
"""Changes one shard's active alerts; `whole` drops those of the shard that are not named."""

SCRIPTS: Final = (PUT_VIEWS, PUT_BOARDS, PUT_ALERTS)
