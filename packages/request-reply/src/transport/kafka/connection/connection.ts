/** What a connection to a broker is for those who use it, and for those who make it. */
import type { Api } from '../protocol/api.ts'

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** Why a connection ended; told once, to everybody who waits for an answer by it. */
export interface ConnectionEnd {
  /**
   * `refused`: Kafka's own verdict on our credentials (58, 33, 34), a certificate, plaintext against TLS: trying again
   * cannot mend it. `network`: everything else (a handshake cut short, silence, a limit, a token service that is down).
   */
  readonly verdict: 'refused' | 'network'
  readonly error: Error
}

/** The seam between transport and wire: made by `BrokerPool.get`, which has authenticated and asked for versions. */
export interface BrokerConnection {
  readonly broker: BrokerAddress
  /** Requests can be sent. */
  readonly open: boolean
  /** The newest version of an API that both sides speak. Throws `MILENA_BROKER_ERROR` when there is none. */
  version(api: Api<never, unknown>): number
  /**
   * Sends a request and reads its answer. Rejects with the connection's end, or when the broker was silent for too long:
   * no byte came for the pool's limit while an answer was awaited (not: the answer took long).
   */
  ask<Request, Answer>(api: Api<Request, Answer>, request: Request): Promise<Answer>
  /** As `ask`, without a promise in between; `done` is called once, never before `send` returns. */
  send<Request, Answer>(
    api: Api<Request, Answer>,
    request: Request,
    done: (error: Error | null, answer?: Answer) => void,
  ): void
  /** Ends it at once. */
  cut(why: Error): void
}

/** A connection that is being made, or whose login is being renewed. */
export interface NewConnection {
  version(api: Api<never, unknown>): number
  /** As `ask`, in this version, and before whatever waits. */
  exchange<Request, Answer>(api: Api<Request, Answer>, version: number, request: Request): Promise<Answer>
}
