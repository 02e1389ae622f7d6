"""The scripts that write into Redis: each compares orders, so that a late writer cannot win.

All values are absolute. Fields and values come as one JSON list of texts, because a client packs
one argument ten times as fast as a hundred. Redis 6.2 is enough. Orders are digits of fixed width,
so they compare alike under every locale.
"""

from typing import Final

PUT_VIEW: Final = """
-- KEYS: the hash. ARGV: order, expiry in ms, JSON list field, value, …
local stored = redis.call('HGET', KEYS[1], 'order')
if stored and stored > ARGV[1] then return 0 end
local fields = cjson.decode(ARGV[3])
redis.call('HSET', KEYS[1], unpack(fields))
local others = redis.call('HLEN', KEYS[1]) - #fields / 2
if others ~= 0 then
  -- The vector is told less often than the figures: the last one stays until the next.
  local vector = {'vector', 'live_vector', 'vector_as_of_ms'}
  local kept = redis.call('HMGET', KEYS[1], unpack(vector))
  local told = false
  for i = 1, #fields, 2 do told = told or fields[i] == 'vector' end
  if told or others ~= 3 or not kept[3] then
    redis.call('DEL', KEYS[1])
    for i, name in ipairs(vector) do
      if kept[i] then redis.call('HSET', KEYS[1], name, kept[i]) end
    end
    redis.call('HSET', KEYS[1], unpack(fields))
  end
end
-- Days and not moments count: an expiry is put off when a tenth of it has gone.
if redis.call('PTTL', KEYS[1]) < 0.9 * ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""
"""Replaces a hash unless what is there has a higher order. 1 if written.

Nearly always the fields are those that are there, and to write over them is the least work.
"""

PUT_BOARD: Final = """
-- KEYS: scores, rows, part. ARGV: order, expiry in ms, head, members, JSON list score, row, …
local stored = redis.call('HGET', KEYS[3], 'order')
if stored and stored > ARGV[1] then return 0 end
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
return 1
"""
"""Replaces one part's rows of a leaderboard, and leaves those of other parts alone."""

PUT_ALERTS: Final = """
-- KEYS: alerts, part. ARGV: order, expiry in ms, whole, JSON list field, record or '' if cleared, …
local stored = redis.call('HGET', KEYS[2], 'order')
if stored and stored > ARGV[1] then return 0 end
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
return 1
"""
"""Changes one shard's active alerts; `whole` drops those of the shard that are not named."""

SCRIPTS: Final = (PUT_VIEW, PUT_BOARD, PUT_ALERTS)
