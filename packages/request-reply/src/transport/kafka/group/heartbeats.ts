/** Heartbeats while something else is waited for. */
import { kafka } from '../protocol/error-codes.ts'

export interface Beating {
  /** Asks the coordinator, as this member; gives Kafka's error code. */
  readonly beat: () => Promise<number>
  /** It knows this member, or did when it was asked at that time (`performance.now()`). */
  readonly known: (asked: number) => void
  /** So many milliseconds were waited for the others; told once. */
  readonly long: (waited: number) => void
  /** It does not answer. */
  readonly dead: () => void
}

/** Milliseconds after which others are waited for long: by then a coordinator that hangs is found out. */
const WAITS_LONG = 5_000

/**
 * JoinGroup and SyncGroup take as long as other members do. Whether the coordinator lives meanwhile, heartbeats tell:
 * whatever it answers, it answers.
 */
export async function whileAlive<Answer>(
  waiting: Promise<Answer>,
  interval: number,
  { beat, known, long, dead }: Beating,
): Promise<Answer> {
  let asking = false
  const late = setTimeout(() => long(WAITS_LONG), WAITS_LONG)
  const timer = setInterval(() => {
    if (asking) return
    asking = true
    const asked = performance.now()
    beat()
      .then((code) => {
        if (code === kafka.none || code === kafka.rebalanceInProgress) known(asked)
      })
      .catch(dead)
      .finally(() => (asking = false))
  }, interval)
  try {
    return await waiting
  } finally {
    clearInterval(timer)
    clearTimeout(late)
  }
}
