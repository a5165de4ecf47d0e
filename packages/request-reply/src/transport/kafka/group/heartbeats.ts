/** Heartbeats while something else is waited for. */
import { kafka } from '../protocol/error-codes.ts'

export interface Beating {
  /** Asks the coordinator, as this member; gives Kafka's error code. */
  readonly beat: () => Promise<number>
  /** It knows this member, or did when it was asked at that time (`performance.now()`). */
  readonly known: (asked: number) => void
  /** It does not answer. */
  readonly dead: () => void
}

/**
 * JoinGroup and SyncGroup take as long as other members do. Whether the coordinator lives meanwhile, heartbeats tell:
 * whatever it answers, it answers.
 */
export async function whileAlive<Answer>(
  waiting: Promise<Answer>,
  interval: number,
  { beat, known, dead }: Beating,
): Promise<Answer> {
  let asking = false
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
  }
}
