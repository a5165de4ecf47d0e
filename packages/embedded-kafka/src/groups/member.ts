import type { Timer } from './clock.ts'
import { sameProtocols } from './protocols.ts'
import type { JoinRequest, JoinResult, MemberProtocol, SyncResult } from './types.ts'

const noBytes = Buffer.alloc(0)

/** One member of a group: what it told, what it was assigned, and its requests that are not answered yet. */
export class Member {
  id: string
  readonly instanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: readonly MemberProtocol[] = []
  assignment: Buffer = noBytes
  /** Until its first generation: it can send no heartbeats yet, so its parked join is timed instead. */
  isNew = true
  heartbeat: Timer | null = null
  #join: ((result: JoinResult) => void) | null = null
  #sync: ((result: SyncResult) => void) | null = null

  constructor(id: string, request: JoinRequest) {
    this.id = id
    this.instanceId = request.instanceId
    this.clientId = request.clientId
    this.clientHost = request.clientHost
    this.sessionTimeoutMs = request.sessionTimeoutMs
    this.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    this.protocols = copyProtocols(request.protocols)
  }

  /** Takes over what a later join says. */
  update(request: JoinRequest): void {
    this.clientId = request.clientId
    this.clientHost = request.clientHost
    this.sessionTimeoutMs = request.sessionTimeoutMs
    this.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    this.protocols = copyProtocols(request.protocols)
  }

  get awaitsJoin(): boolean {
    return this.#join !== null
  }

  get awaitsSync(): boolean {
    return this.#sync !== null
  }

  /** Bytes counted for this member, assignment included. */
  get bytes(): number {
    return memberBytes(this) + this.assignment.length
  }

  parkJoin(respond: (result: JoinResult) => void): void {
    this.#join = respond
  }

  parkSync(respond: (result: SyncResult) => void): void {
    this.#sync = respond
  }

  /** Answers the parked join; false when there is none. */
  answerJoin(result: JoinResult): boolean {
    const respond = this.#join
    this.#join = null
    respond?.(result)
    return respond !== null
  }

  answerSync(result: SyncResult): boolean {
    const respond = this.#sync
    this.#sync = null
    respond?.(result)
    return respond !== null
  }

  knows(protocols: readonly MemberProtocol[]): boolean {
    return sameProtocols(this.protocols, protocols)
  }

  /** Its subscription in one protocol. */
  metadata(protocol: string | null): Buffer {
    return this.protocols.find((known) => known.name === protocol)?.metadata ?? noBytes
  }
}

/** Bytes that keeping such a member takes: its strings and protocols, and a flat sum for the rest. */
export function memberBytes(member: {
  instanceId: string | null
  clientId: string
  protocols: readonly MemberProtocol[]
}): number {
  // The id that the coordinator makes repeats the instance or client id.
  const strings = 2 * ((member.instanceId?.length ?? 0) + member.clientId.length)
  return member.protocols.reduce(
    (sum, known) => sum + known.name.length + known.metadata.length + 64,
    512 + strings,
  )
}

// A slice of a request's frame would keep the whole frame in memory.
function copyProtocols(protocols: readonly MemberProtocol[]): MemberProtocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
}
