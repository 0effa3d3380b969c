/**
 * Marks of the departed (rule R7), as fields of the resource's hash: so an acquire that meets none
 * touches one key, and the marks are where the hash is. They are a list in the order in which they
 * were left:
 *
 * - `!<owner>`: until when this owner is refused, in 13 digits of ms, and the owner marked next.
 * - `marks`: until when any mark may exist, in 13 digits, and the owner marked first.
 * - `lastmark`: the owner marked last.
 *
 * All of them end with the hash, which outlives its marks. Until then each step that leaves a mark,
 * or that joins where there are marks, takes 16 of those away whose time is over, from the front:
 * so it costs no more, however many there are. A mark behind one that lasts longer stays as long.
 *
 * - `isMarked(base, owner)`: whether this owner is refused.
 * - `sweepMarks(base)`: takes marks away whose time is over.
 * - `leaveMark(base, owner, ms)`: refuses this owner for `ms` from now. Its first write is one that
 *   a server out of memory does not refuse.
 * - `readMarks(base)`: all marks that last, as fields and values. `HSET` puts them back.
 */
export const marks = /* lua */ `
local function isMarked(base, owner)
  local mark = redis.call('HGET', base, '!' .. owner)
  return mark and now < whole(string.sub(mark, 1, 13), base)
end

local function sweepMarks(base)
  local marks = redis.call('HGET', base, 'marks')
  if not marks then return end
  local over, first = {}, string.sub(marks, 14)
  while first ~= '' and #over < 16 do
    local mark = redis.call('HGET', base, '!' .. first)
    if mark and now < whole(string.sub(mark, 1, 13), base) then break end
    over[#over + 1] = '!' .. first
    first = mark and string.sub(mark, 14) or ''
  end
  if #over > 0 then redis.call('HDEL', base, unpack(over)) end
  if first == '' then redis.call('HDEL', base, 'marks', 'lastmark')
  elseif #over > 0 then redis.call('HSET', base, 'marks', string.sub(marks, 1, 13) .. first) end
end

local function leaveMark(base, owner, ms)
  local ends = untilEnd(ms)
  redis.call('HDEL', base, ':' .. owner)
  local kept = redis.call('HMGET', base, 'marks', 'lastmark', '!' .. owner)
  local latest, first = ends, owner
  if kept[1] then latest, first = math.max(ends, tonumber(string.sub(kept[1], 1, 13)) or 0), string.sub(kept[1], 14) end
  if kept[3] then
    ends = math.max(ends, tonumber(string.sub(kept[3], 1, 13)) or 0)
    redis.call('HSET', base, '!' .. owner, string.format('%013.0f%s', ends, string.sub(kept[3], 14)))
  else
    local before = kept[2] and redis.call('HGET', base, '!' .. kept[2])
    if before then redis.call('HSET', base, '!' .. kept[2], string.sub(before, 1, 13) .. owner)
    else first = owner end
    redis.call('HSET', base, '!' .. owner, string.format('%013.0f', ends), 'lastmark', owner)
  end
  redis.call('HSET', base, 'marks', string.format('%013.0f%s', latest, first))
  keep(base, latest - now + 1000)
  sweepMarks(base)
end

local function readMarks(base)
  local kept = redis.call('HMGET', base, 'marks', 'lastmark')
  if not kept[1] or not kept[2] then return {} end
  local fields, owner = {'marks', kept[1], 'lastmark', kept[2]}, string.sub(kept[1], 14)
  while owner ~= '' do
    local mark = redis.call('HGET', base, '!' .. owner)
    if not mark then break end
    fields[#fields + 1], fields[#fields + 2] = '!' .. owner, mark
    owner = string.sub(mark, 14)
  end
  return fields
end
`;
