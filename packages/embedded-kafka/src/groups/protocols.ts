import type { MemberProtocol } from './types.ts'

/** The protocol type of ordinary consumers, whose subscriptions the coordinator can read. */
export const consumerProtocolType = 'consumer'

/** Names of the protocols that every one of the members knows. */
export function commonProtocols(members: readonly (readonly MemberProtocol[])[]): Set<string> {
  const [first, ...rest] = members
  const common = new Set(first?.map((protocol) => protocol.name))
  for (const protocols of rest) {
    const names = new Set(protocols.map((protocol) => protocol.name))
    for (const name of common) if (!names.has(name)) common.delete(name)
  }
  return common
}

/**
 * The protocol that most members prefer among those that all of them know. A tie goes to the one that the
 * first member to have voted for either preferred, so that the choice does not change from run to run.
 */
export function electProtocol(members: readonly (readonly MemberProtocol[])[]): string | null {
  const common = commonProtocols(members)
  const votes = new Map<string, number>()
  for (const protocols of members) {
    const vote = protocols.find((protocol) => common.has(protocol.name))
    if (vote) votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
  }
  let elected: string | null = null
  for (const [name, count] of votes) {
    if (elected === null || count > (votes.get(elected) ?? 0)) elected = name
  }
  return elected
}

export function sameProtocols(one: readonly MemberProtocol[], other: readonly MemberProtocol[]): boolean {
  return (
    one.length === other.length &&
    one.every((protocol, index) => {
      const counterpart = other[index]
      return counterpart?.name === protocol.name && counterpart.metadata.equals(protocol.metadata)
    })
  )
}

/**
 * Topics in a consumer's subscription (ConsumerProtocolSubscription: int16 version, then an int32 count of
 * int16-length strings); null when the bytes are something else.
 */
export function subscribedTopics(metadata: Buffer): string[] | null {
  if (metadata.length < 6) return null
  const count = metadata.readInt32BE(2)
  const topics: string[] = []
  let position = 6
  for (let index = 0; index < count; index++) {
    if (position + 2 > metadata.length) return null
    const length = metadata.readInt16BE(position)
    position += 2
    if (length < 0 || position + length > metadata.length) return null
    topics.push(metadata.toString('utf8', position, position + length))
    position += length
  }
  return topics
}
