/**
 * The lanes that a relay has claimed, and what became of their rows.
 *
 *   looked at ─▶ claimed ─▶ read ─▶ sent one by one ─▶ acknowledged, or failed ─▶ written down ─▶ released
 *
 * A lane is released only when what became of its rows is in the table: whoever claims it next must see it.
 */
import { isMilenaError, type Clock, type Transport } from '@milena/request-reply'
import { Lane } from './lane.ts'
import type { OutboxRelayStats } from './outbox.ts'
import type { RelaySettings } from './relay-options.ts'
import type { Failure, Row, Rows } from './rows.ts'
import type { Session } from './session.ts'

/** How many lanes are looked at in one statement. */
const mostLooked = 500
/** Milliseconds after which a record on its way no longer takes a place among `maxKeys`. */
const slowAfter = 1_000
const longestMessage = 1_000

export interface ClaimsOptions {
  readonly settings: RelaySettings
  readonly rows: Rows
  readonly transport: Transport
  /** Something has to be written down. */
  readonly onSettled: () => void
  readonly onFailure: (row: Row, error: unknown) => void
}

export class Claims {
  readonly #options: ClaimsOptions
  readonly #clock: Clock
  /** By number. After a lost connection also those whose last record is still on its way. */
  readonly #lanes = new Map<string, Lane>()
  #sent: string[] = []
  #failed: Failure[] = []
  #ended: Lane[] = []
  /** Where the present pass over all lanes has come to; `undefined` between two. */
  #passed: string | undefined
  /** Whether there may be something that the present pass has not seen. */
  #wanted = true
  #counts = { sent: 0, failed: 0 }

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#clock = options.settings.clock
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0
  }

  stats(): Omit<OutboxRelayStats, 'cleaned'> {
    const lanes = [...this.#lanes.values()]
    const sum = (of: (lane: Lane) => number): number => lanes.reduce((total, lane) => total + of(lane), 0)
    return {
      ...this.#counts,
      keys: this.#lanes.size,
      rows: sum(({ rows }) => rows),
      bytes: sum(({ bytes }) => bytes),
    }
  }

  /** There may be new rows: all lanes are looked at again. */
  want(): void {
    this.#wanted = true
  }

  /** Writes down what has settled since, in one statement each. */
  async settle(session: Session): Promise<void> {
    const { rows, settings } = this.#options
    const [sent, failed, ended] = [this.#sent, this.#failed, this.#ended]
    this.#sent = []
    this.#failed = []
    this.#ended = []
    try {
      if (sent.length > 0) await rows.sent(session, sent, settings.keep > 0)
      if (failed.length > 0) await rows.failed(session, failed, settings.maxPause)
      const ours = ended.filter((lane) => lane.session === session).map(({ number }) => number)
      if (ours.length > 0) await rows.release(session, ours)
    } catch (error) {
      // What was acknowledged is written down over the next connection: it need not be sent again.
      this.#sent.push(...sent)
      this.#ended.push(...ended)
      throw error
    }
    for (const { number } of ended) this.#lanes.delete(number)
    // Rows may have come behind those of the turn.
    if (ended.length > 0) this.#wanted = true
  }

  /** Claims what there is room for; true when there may be more, and room for it. */
  async claim(session: Session): Promise<boolean> {
    const room = this.#room()
    if ((!this.#wanted && this.#passed === undefined) || room.lanes <= 0 || room.bytes <= 0) return false
    if (this.#passed === undefined) this.#wanted = false
    const { rows } = this.#options
    const heads = await rows.heads(session, this.#passed, mostLooked)
    const chosen: string[] = []
    let { lanes, failing } = room
    let passed = heads.length === mostLooked ? heads.at(-1)?.lane : undefined
    for (const head of heads) {
      if (!head.due || this.#lanes.has(head.lane)) continue
      if (head.failures > 0 && failing-- <= 0) continue
      if (lanes-- <= 0) break
      chosen.push(head.lane)
      if (lanes === 0) passed = head.lane
    }
    this.#passed = passed
    if (chosen.length > 0) await this.#begin(session, chosen, room.bytes)
    return this.#wanted || this.#passed !== undefined
  }

  /** Ends every turn; what is not on the wire is taken back if `withdraw`. */
  stop(withdraw: boolean): void {
    for (const lane of this.#lanes.values()) lane.stop(withdraw)
  }

  async #begin(session: Session, chosen: readonly string[], bytes: number): Promise<void> {
    const { rows, settings, transport, onSettled, onFailure } = this.#options
    const claimed = await rows.claim(session, chosen)
    if (claimed.length === 0) return
    const turns = await rows.read(session, claimed, bytes)
    const without = claimed.filter((number) => !turns.has(number))
    if (without.length > 0) await rows.release(session, without)
    if (without.length > 0 && turns.size > 0) this.#wanted = true // there was no room for them
    for (const turn of turns.values()) {
      const lane = new Lane(turn, {
        session,
        transport,
        clock: this.#clock,
        sendTimeout: settings.sendTimeout,
        onSent: ({ id }) => {
          this.#counts.sent++
          this.#sent.push(id)
          onSettled()
        },
        onFailed: (row, error) => {
          this.#counts.failed++
          this.#failed.push({ id: row.id, ...described(error) })
          onFailure(row, error)
        },
        onEnded: (ended) => {
          this.#ended.push(ended)
          onSettled()
        },
      })
      this.#lanes.set(lane.number, lane)
      void lane.run()
    }
  }

  /**
   * A record that is slow, such as one whose partition has no leader, holds up its own key: for others it takes no place,
   * up to four times as many as there are. And of the places a quarter is for keys that have failed before.
   */
  #room(): { readonly lanes: number; readonly failing: number; readonly bytes: number } {
    const { maxKeys, maxBytes } = this.#options.settings
    let [quick, slow, failing, quickBytes, slowBytes] = [0, 0, 0, 0, 0]
    for (const lane of this.#lanes.values()) {
      if (lane.failing) failing++
      if (lane.sendingFor < slowAfter) {
        quick++
        quickBytes += lane.bytes
      } else {
        lane.shed()
        slow++
        slowBytes += lane.bytes
      }
    }
    const bytes = slowBytes < maxBytes ? maxBytes - quickBytes : 0
    return {
      lanes: Math.min(maxKeys - quick, 5 * maxKeys - quick - slow),
      failing: Math.max(1, Math.floor(maxKeys / 4)) - failing,
      bytes,
    }
  }
}

function described(error: unknown): { readonly code: string; readonly message: string } {
  const text = error instanceof Error ? error.message : String(error)
  return {
    code: isMilenaError(error) ? error.code : 'UNKNOWN',
    // PostgreSQL's texts have no NUL.
    message: text.replaceAll('\0', '').slice(0, longestMessage),
  }
}
