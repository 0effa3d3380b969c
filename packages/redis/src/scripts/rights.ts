/**
 * `must(command, key, ...)`: stops the script, before its first write, if the user may not run the
 * command on the key. Lua does not roll back, so a refusal after a write would leave a part of it;
 * and a key that was made before a refused PEXPIRE would be there for good. It asks by
 * `redis.acl_check_cmd`, which is no command: a PEXPIRE that is tried first would count as a write,
 * and a server out of memory then takes the rest of the script, new claims and all.
 *
 * A script asks for what it needs once a key without an end can be there, and only where it makes
 * or prolongs one. A command that was renamed or disabled stops the script here, too.
 */
export const rights = /* lua */ `
local function must(command, ...)
  if not redis.acl_check_cmd(command, ...) then error({err = "NOPERM this user may not run '" .. command .. "'"}) end
end
`;
