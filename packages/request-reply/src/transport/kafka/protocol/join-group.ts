/**
 * JoinGroup (key 11): take part in a group's next generation. Versions 7 to 9: a reason goes along from 8 on (KIP-800),
 * the leader of a group whose assignment stands is told so from 9 on (KIP-814).
 */
import type { Api } from './api.ts'

/** What consumers' groups are called among groups. */
export const CONSUMER = 'consumer'

export interface JoinGroupRequest {
  readonly groupId: string
  /** Milliseconds. */
  readonly sessionTimeout: number
  /** Milliseconds. */
  readonly rebalanceTimeout: number
  /** Empty for somebody new. */
  readonly memberId: string
  readonly instanceId: string | null
  /** The one assignment that this member offers, and what it says of itself in it. */
  readonly protocol: string
  readonly subscription: Buffer
  readonly reason: string
}

export interface JoinGroupAnswer {
  readonly errorCode: number
  readonly generation: number
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

export const joinGroupApi: Api<JoinGroupRequest, JoinGroupAnswer> = {
  name: 'JoinGroup',
  key: 11,
  versions: { oldest: 7, newest: 9 },
  flexibleFrom: 6,
  throttledFrom: 2,
  write(to, request, version) {
    to.text(request.groupId).int32(request.sessionTimeout).int32(request.rebalanceTimeout)
    to.text(request.memberId).text(request.instanceId).text(CONSUMER)
    to.array([request], (writer, { protocol, subscription }) => {
      writer.text(protocol).blob(subscription).tags()
    })
    if (version >= 8) to.text(request.reason)
    to.tags()
  },
  read(from, version) {
    const errorCode = from.int16()
    const generation = from.int32()
    from.nullableText() // the protocol's type
    from.nullableText() // its name: only one is offered
    const leader = from.text()
    const skipAssignment = version >= 9 && from.bool()
    const memberId = from.text()
    const members = from.array((reader) => {
      const id = reader.text()
      reader.nullableText() // its instance id
      // A copy: what is left of the answer can go.
      const member = { memberId: id, metadata: Buffer.from(reader.blob()) }
      reader.tags()
      return member
    })
    from.tags()
    return { errorCode, generation, leader, skipAssignment, memberId, members }
  },
}
