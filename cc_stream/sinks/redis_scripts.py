"""The scripts that write into Redis: each compares orders, so that a late writer cannot win.

All values are absolute. Fields and values come as one JSON list of texts, because a client packs
one argument ten times as fast as a hundred; many views are one call, because each is packed and its
answer parsed. The answer is the numbers (from 1) of those that a higher order kept out: none,
nearly always. Redis 6.2 is enough. Orders are digits of fixed width,
so they compare alike under every locale.
"""

from typing import Final

PUT_VIEWS: Final = """
-- KEYS: hashes. ARGV: expiry in ms, then a JSON list 'order', order, field, value, … for each hash
local vector = {'vector', 'live_vector', 'vector_as_of_ms'}
local function put(key, fields)
  redis.call('HSET', key, unpack(fields))
  local others = redis.call('HLEN', key) - #fields / 2
  if others ~= 0 then
    -- The vector is told less often than the figures: the last one stays until the next.
    local kept = redis.call('HMGET', key, unpack(vector))
    local told = false
    for i = 1, #fields, 2 do told = told or fields[i] == 'vector' end
    if told or others ~= 3 or not kept[3] then
      redis.call('DEL', key)
      for i, name in ipairs(vector) do
        if kept[i] then redis.call('HSET', key, name, kept[i]) end
      end
      redis.call('HSET', key, unpack(fields))
    end
  end
  -- Days and not moments count: an expiry is put off when a tenth of it has gone.
  if redis.call('PTTL', key) < 0.9 * ARGV[1] then redis.call('PEXPIRE', key, ARGV[1]) end
end
local late, failure = {}, nil
for i, key in ipairs(KEYS) do
  local fields = cjson.decode(ARGV[i + 1])
  local stored = redis.pcall('HGET', key, 'order')
  if type(stored) == 'table' then
    failure = stored  -- no hash: told when the others are written
  elseif stored and stored > fields[2] then
    late[#late + 1] = i
  else
    put(key, fields)
  end
end
return failure or late
"""
"""Replaces hashes, each unless what is there has a higher order.

Nearly always the fields are those that are there, and to write over them is the least work.
"""

PUT_BOARD: Final = """
-- KEYS: scores, rows, part. ARGV: order, expiry in ms, head, members, JSON list score, row, …
local stored = redis.call('HGET', KEYS[3], 'order')
if stored and stored > ARGV[1] then return {1} end
local told, rows = {}, cjson.decode(ARGV[5])
local scores, lines, unranked, gone = {}, {}, {}, {}
for i, member in ipairs(cjson.decode(ARGV[4])) do
  told[member] = true
  local score = rows[2 * i - 1]
  if score ~= '' then
    scores[#scores + 1], scores[#scores + 2] = score, member
  else
    unranked[#unranked + 1] = member
  end
  lines[#lines + 1], lines[#lines + 2] = member, rows[2 * i]
end
for _, member in ipairs(cjson.decode(redis.call('HGET', KEYS[3], 'members') or '[]')) do
  if not told[member] then gone[#gone + 1] = member end
end
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
if #unranked > 0 then redis.call('ZREM', KEYS[1], unpack(unranked)) end
if #scores > 0 then redis.call('ZADD', KEYS[1], unpack(scores)) end
if #lines > 0 then redis.call('HSET', KEYS[2], unpack(lines)) end
redis.call('HSET', KEYS[3], 'order', ARGV[1], 'head', ARGV[3], 'members', ARGV[4])
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return {}
"""
"""Replaces one part's rows of a leaderboard, and leaves those of other parts alone."""

PUT_ALERTS: Final = """
-- KEYS: alerts, part. ARGV: order, expiry in ms, whole, JSON list field, record or '' if cleared, …
local stored = redis.call('HGET', KEYS[2], 'order')
if stored and stored > ARGV[1] then return {1} end
local mine = {}
for _, field in ipairs(cjson.decode(redis.call('HGET', KEYS[2], 'members') or '[]')) do
  if ARGV[3] == '1' then redis.call('HDEL', KEYS[1], field) else mine[field] = true end
end
local changes = cjson.decode(ARGV[4])
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
redis.call('HSET', KEYS[2], 'order', ARGV[1], 'members', cjson.encode(members))
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return {}
"""
"""Changes one shard's active alerts; `whole` drops those of the shard that are not named."""

LIST: Final = """
-- KEYS: the index. ARGV: as_of, expiry in ms, JSON list of names
for _, name in ipairs(cjson.decode(ARGV[3])) do
  redis.call('ZADD', KEYS[1], 'GT', ARGV[1] + ARGV[2], name)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""Puts names into an index until they expire, and drops those that have expired."""

SCRIPTS: Final = (PUT_VIEWS, PUT_BOARD, PUT_ALERTS, LIST)
