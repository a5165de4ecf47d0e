/**
 * The store's steps as Lua, each of them atomic (Redis runs a script alone).
 *
 * A key is a hash: `state` (claimed, stored, released), `fp` the fingerprint, `token`, `owner`, `until` when its lease
 * ends, `ttl`, `at` when it was changed, `outcome`. Times in milliseconds by Redis's clock; the token is that clock in
 * microseconds, or one more than the last. Numbers are exact up to 2^53.
 */
import { createHash } from 'node:crypto'

export type ScriptName = 'claim' | 'renew' | 'complete' | 'release' | 'find'

export interface Script {
  readonly text: string
  readonly sha: string
}

const begin = `
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local function whole(n) return string.format('%.0f', n) end
local e = redis.call('HMGET', KEYS[1], 'state', 'fp', 'token', 'owner', 'until', 'ttl', 'at', 'outcome')
local state, fp, token, owner, ends, ttl, at, outcome = unpack(e)
`

const texts: Readonly<Record<ScriptName, string>> = {
  claim: `${begin}
local again = 0
if state then
  if fp ~= ARGV[1] then return {'mismatch'} end
  if state == 'stored' and token ~= ARGV[5] then return {'stored', outcome, token, at} end
  if state == 'claimed' and tonumber(ends) > now then return {'running', owner, whole(tonumber(ends) - now)} end
  again = 1
  if tonumber(token) >= us then us = tonumber(token) + 1 end
end
local lease, keep = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('HDEL', KEYS[1], 'outcome')
redis.call('HSET', KEYS[1], 'state', 'claimed', 'fp', ARGV[1], 'token', whole(us), 'owner', ARGV[2],
  'until', whole(now + lease), 'ttl', ARGV[4], 'at', whole(now))
redis.call('PEXPIRE', KEYS[1], whole(math.max(lease, keep)))
return {'claimed', whole(us), again}
`,
  renew: `${begin}
if state ~= 'claimed' or token ~= ARGV[1] then return 0 end
local lease = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'until', whole(now + lease), 'at', whole(now))
redis.call('PEXPIRE', KEYS[1], whole(math.max(lease, tonumber(ttl))))
return 1
`,
  complete: `${begin}
if token ~= ARGV[1] or state == 'released' then return 0 end
if state == 'stored' then return 1 end
redis.call('HSET', KEYS[1], 'state', 'stored', 'outcome', ARGV[2], 'ttl', ARGV[3], 'at', whole(now))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`,
  release: `${begin}
if state ~= 'claimed' or token ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'state', 'released', 'at', whole(now))
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
`,
  find: `${begin}
if not state then return {'nothing'} end
if state == 'stored' then return {'stored', outcome, token, at} end
if state == 'released' then return {'released'} end
if tonumber(ends) <= now then return {'lapsed'} end
return {'running', owner, whole(tonumber(ends) - now)}
`,
}

export const scripts: Readonly<Record<ScriptName, Script>> = Object.fromEntries(
  Object.entries(texts).map(([name, text]) => [
    name,
    { text, sha: createHash('sha1').update(text).digest('hex') },
  ]),
) as Record<ScriptName, Script>
