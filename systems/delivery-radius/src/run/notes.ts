/** What the table's words mean, printed below it: what a way does, and what counts as accepted, lost and out of order. */
import type { RunOptions } from '../options.ts'
import { connectionWait, redisLock, rowLockTimeout, tries } from '../ways/lock-options.ts'
import { noRedis } from '../ways/redis.ts'
import type { WayName } from '../ways/way.ts'

/** @param ways those that the table has */
export function notesOf(options: RunOptions, ways: readonly WayName[]): readonly string[] {
  const { storm, rate, wave, hot, each, connections, requesters, workers, alone } = options
  return [
    `The storm: ${storm} triggers, ${wave} at the same moment and ${rate} a second on the whole, each at ${each} of ${hot} shops in an order of its own, sent to ` +
      `${requesters} services in turn over HTTP; the same triggers at the same times each way.`,
    ...ways.map((way) => `${way}: ${doing[way]}.`),
    ...(alone || ways.includes('Redis lock') ? [] : [`Redis lock: left out (${noRedis}).`]),
    `Connections to the database: ${connections} in all for each way with locks; request-reply has ${2 * workers} in ` +
      `its workers, and ${4 * requesters} in its requesters for triggers and the list of failed changes.`,
    'accepted: with locks, a trigger is accepted when it is fired, and those of the same moment in any order: before it ' +
      'has its locks there is nothing that would hold its place. With request-reply, a change is accepted when the brokers have acknowledged it: its ' +
      'place is its offset.',
    'out of order: changes of a shop that were made after one that was accepted (fired) later, as a trigger of the ' +
      'database has written them down while it held the row.',
    'lost: the caller was told that it was made, or nothing, and it was not; or it was overwritten by one that had not ' +
      'seen it.',
    'caller knows after: from the time at which a trigger is due to be fired until its caller knows what has become of ' +
      'all of its shops.',
  ]
}

const doing: Readonly<Record<WayName, string>> = {
  'row locks':
    'a transaction for each trigger, `select … for update` of its shops in the order in which it names them, ' +
    `lock_timeout ${rowLockTimeout / 1_000} s; after a deadlock or a lock timeout it is tried again, ${tries} times in ` +
    `all, then its caller is told that nothing was done; so too after ${connectionWait / 1_000} s without a connection`,
  'row locks, ids sorted':
    'the same, but it locks in the order of the ids, which is what one does about deadlocks',
  'Redis lock':
    `a lock for each shop, one at a time: SET NX PX ${redisLock.lease}, looked at again every ${redisLock.pause[0]} to ` +
    `${redisLock.pause[1]} ms for up to ${redisLock.wait / 1_000} s (then that shop's change has failed, which counts as ` +
    'a lock timeout, and the caller is told), released by a script',
  'request-reply':
    'POST /triggers is answered at once; a request for each shop, keyed by the shop, and a reply for each. A requester ' +
    'that has 16 triggers running turns more of them away with 503: nothing of those was done, and they count as failed',
}
