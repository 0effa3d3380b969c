/**
 * What changed last on an announced line, so that who has looked before is sent no more than that.
 * It is a field of the hash, `log`: for each change, the last one first, a space, a stamp of 16
 * digits, a colon, and the owner whose claim joined, left, was granted, evicted, or got another
 * value. It keeps some 80 changes, and begins anew with each line.
 *
 * The stamp of the last change is the version of what can be seen. Stamps grow, and are times in
 * microseconds. So no two lines share one, nor do a primary that was lost and the replica that took
 * over from it: a version that is not found in the log is answered with everything.
 *
 * - `versionOf(log)`: the stamp of the last change, or an empty string.
 * - `noteChanges(l)`: adds what a step did, before it is announced.
 * - `changesSince(log, known)`: the owners whose claims changed since that version, each once; nil
 *   if the log does not reach back so far.
 */
export const changeLog = /* lua */ `
local function versionOf(log) return string.match(log, '^ (%d+):') or '' end

local function noteChanges(l)
  if not l.channel or l.channel == '' then return end
  local log = redis.call('HGET', l.base, 'log') or ''
  local stamp = math.max(us, (tonumber(versionOf(log)) or 0) + 1)
  local owners = {}
  for _, owner in ipairs(l.leaving) do owners[#owners + 1] = owner end
  for _, claim in ipairs(l.granted) do owners[#owners + 1] = claim.owner end
  if l.touched then owners[#owners + 1] = l.touched end
  local entries = {}
  for i = #owners, 1, -1 do entries[#entries + 1] = string.format(' %016.0f:%s', stamp + i - 1, owners[i]) end
  log = table.concat(entries) .. log
  local over = string.find(log, ' ', 4000, true)
  redis.call('HSET', l.base, 'log', over and string.sub(log, 1, over - 1) or log)
end

local function changesSince(log, known)
  if known == '' then return nil end
  local at = string.find(log, ' ' .. known .. ':', 1, true)
  if not at then return nil end
  local owners, seen = {}, {}
  for owner in string.gmatch(string.sub(log, 1, at - 1), ' %d+:(%S*)') do
    if not seen[owner] then owners[#owners + 1] = owner end
    seen[owner] = true
  end
  return owners
end
`;
