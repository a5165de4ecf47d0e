/** The lasting troubles of whoever reads: its own and those of a reader below it, in one list that is told whenever it changes. */
import { MilenaError } from '../errors.ts'
import { errorOf } from '../words.ts'
import type { ReadingListener, Trouble, TroubleKind } from './transport.ts'

export class Troubles {
  readonly #listener: Pick<ReadingListener, 'onTrouble' | 'onError'>
  readonly #own = new Map<string, Trouble>()
  #reading: readonly Trouble[] = []
  #listening = false

  constructor(listener: Pick<ReadingListener, 'onTrouble' | 'onError'>) {
    this.#listener = listener
  }

  /** From now on changes are told, and what lasts already. */
  listen(): void {
    this.#listening = true
    if (this.list.length > 0) this.#tell()
  }

  /** All that last now; a topic's is not repeated for each of its partitions. */
  get list(): readonly Trouble[] {
    const own = [...this.#own.values()]
    const said = new Set(
      own.filter((one) => one.partition === undefined).map((one) => `${one.kind} ${one.topic}`),
    )
    return [...own, ...this.#reading.filter((one) => !said.has(`${one.kind} ${one.topic}`))]
  }

  /**
   * One of its own has begun; `cause` tells it from its others. True when it is news: it did not last already, as
   * the same kind with the same message. With another message it is the same one still, and began when that did.
   */
  begin(cause: string, trouble: Trouble): boolean {
    const before = this.#own.get(cause)
    if (before?.kind === trouble.kind && before.error.message === trouble.error.message) return false
    this.#own.set(cause, before?.kind === trouble.kind ? { ...trouble, since: before.since } : trouble)
    this.#tell()
    return true
  }

  /** It is over, if it lasted. */
  end(cause: string): void {
    if (this.#own.delete(cause)) this.#tell()
  }

  /** What the reader below says now. */
  read(troubles: readonly Trouble[]): void {
    this.#reading = troubles
    this.#tell()
  }

  /** Nothing is read any more: none lasts, but for those of these causes. */
  endAllBut(...causes: readonly string[]): void {
    let ended = this.#reading.length > 0
    this.#reading = []
    for (const cause of this.#own.keys()) {
      if (!causes.includes(cause)) ended = this.#own.delete(cause)
    }
    if (ended) this.#tell()
  }

  /** A listener that throws, which it must not, breaks nothing here. */
  #tell(): void {
    if (!this.#listening) return
    try {
      this.#listener.onTrouble?.(this.list)
    } catch (error) {
      this.#listener.onError?.(errorOf(error))
    }
  }
}

/** Those that stop (part of) the reading; brokers that are only away for a moment do not yet. */
export function stoppingOf(troubles: readonly Trouble[]): readonly Trouble[] {
  return troubles.some(isPassing) ? troubles.filter((one) => !isPassing(one)) : troubles
}

function isPassing({ kind }: Trouble): boolean {
  return kind === 'away'
}

/** What kind of trouble an error is that lasts. */
export function troubleKind(error: unknown): TroubleKind {
  if (!(error instanceof MilenaError)) return 'unreachable'
  switch (error.code) {
    case 'MILENA_TOPIC_MISSING':
      return 'topic-missing'
    case 'MILENA_PARTITION_MISSING':
      return 'partition-missing'
    case 'MILENA_NOT_AUTHORIZED':
    case 'MILENA_AUTHENTICATION_FAILED':
      return 'not-authorized'
    case 'MILENA_BROKER_UNREACHABLE':
      return 'unreachable'
    case 'MILENA_COMMIT_FENCED':
      return 'not-a-member'
    case 'MILENA_CLOSED':
      return 'closed'
    default:
      return 'refused'
  }
}
