/** Joining a group, from the first question about its topics to the first assignment. */
import { TransportError } from '../../../errors.ts'
import type { GroupOptions } from '../../transport.ts'
import type { Connections } from '../connection/connections.ts'
import { GroupMember } from './member.ts'
import { resolveTimings } from './timings.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { awaitTopics } from '../reading/offsets.ts'
import { untilAborted } from '../waiting/until-aborted.ts'

/**
 * Joins a group; resolves when the group has given this member its first assignment, which may be empty. When
 * `options.signal` or `closing` (the transport's) fires before that, it rejects with `MILENA_CLOSED`, and what there is of
 * a member by then has left the group.
 *
 * @throws OptionsError; TransportError `MILENA_TOPIC_MISSING`, `MILENA_NOT_AUTHORIZED`,
 * `MILENA_AUTHENTICATION_FAILED`, `MILENA_BROKER_UNREACHABLE`, `MILENA_BROKER_ERROR` (the group's other members use another
 * protocol, or a timeout is not one that the broker allows), `MILENA_COMMIT_FENCED` (another process has joined under the
 * same `groupInstanceId` meanwhile), `MILENA_CLOSED`
 */
export async function joinGroup(
  connections: Connections,
  metadata: Metadata,
  options: GroupOptions,
  closing: AbortSignal,
): Promise<GroupMember> {
  const timings = resolveTimings(options)
  const stop = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal])
  const what = `join group ${options.groupId}`
  const refuseOnceStopped = (): void => {
    if (stop.aborted) throw new TransportError('MILENA_CLOSED', `${what}: closed`)
  }
  refuseOnceStopped()
  const member = new GroupMember(connections, metadata, options, timings)
  const end = (): void => void member.close()
  stop.addEventListener('abort', end, { once: true })
  try {
    await untilAborted(awaitTopics(metadata, options.topics, stop), stop, what)
    await member.start()
    refuseOnceStopped()
  } catch (error) {
    await member.close()
    throw error
  } finally {
    stop.removeEventListener('abort', end)
  }
  return member
}
