/** Heartbeats while something else is waited for. */
import { kafka } from '../protocol/error-codes.ts'

export interface Beating {
  /** JoinGroup is waited for, by a member of the generation before. */
  readonly joinsAgain: boolean
  /** Asks the coordinator, as this member; gives Kafka's error code. */
  readonly beat: () => Promise<number>
  /** It knows this member, or did when it was asked at that time (`performance.now()`). */
  readonly known: (asked: number) => void
  /** So many milliseconds were waited for the others; told once. */
  readonly long: (waited: number) => void
  /** It does not answer; or it has, and that was lost, or is still arriving. */
  readonly dead: () => void
}

/**
 * So many heartbeats in a row of which the coordinator says that they are of an old generation, while JoinGroup is waited
 * for: it has answered that, and by a connection that something between us has forgotten.
 */
const LEFT_BEHIND = 2
/** Milliseconds after which others are waited for long, if the coordinator answers by then. */
const WAITS_LONG = 5_000

/**
 * JoinGroup and SyncGroup take as long as other members do. Whether the coordinator lives meanwhile, heartbeats tell:
 * whatever it answers, it answers.
 */
export async function whileAlive<Answer>(
  waiting: Promise<Answer>,
  interval: number,
  { joinsAgain, beat, known, long, dead }: Beating,
): Promise<Answer> {
  let asking = false
  let isOver = false
  let isLong = false
  let leftBehind = 0
  const began = performance.now()
  const timer = setInterval(() => {
    if (asking) return
    asking = true
    const asked = performance.now()
    beat()
      .then((code) => {
        if (code === kafka.none || code === kafka.rebalanceInProgress) known(asked)
        leftBehind = code === kafka.illegalGeneration && joinsAgain ? leftBehind + 1 : 0
        if (leftBehind >= LEFT_BEHIND) throw new Error('the answer was lost')
        if (isOver || isLong || performance.now() - began < WAITS_LONG) return
        isLong = true
        long(WAITS_LONG)
      })
      .catch(() => {
        // One that was waited for longer than the answer says nothing of what is asked since.
        if (!isOver) dead()
      })
      .finally(() => (asking = false))
  }, interval)
  try {
    return await waiting
  } finally {
    isOver = true
    clearInterval(timer)
  }
}
