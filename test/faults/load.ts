/** A steady load on all partitions of a topic, and the account of what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Transport } from '../../packages/request-reply/src/transport/transport.ts'

export interface Load {
  /** Acknowledged records: value by offset, for each partition. */
  readonly acknowledged: readonly Map<number, string>[]
  /** Sends that were rejected. */
  readonly failures: Error[]
  /** How many were sent. */
  readonly sent: number
  /** Sends no more; resolves when every send has an outcome. */
  stop(): Promise<void>
}

/** Sends numbered records to every partition in turn, `rate` a second in all, whether or not they are acknowledged. */
export function startLoad(transport: Transport, topic: string, partitions: number, rate = 200): Load {
  const acknowledged = Array.from({ length: partitions }, () => new Map<number, string>())
  const failures: Error[] = []
  const outcomes: Promise<void>[] = []
  const abort = new AbortController()
  const counts = Array.from({ length: partitions }, () => 0)
  let sent = 0
  const send = async (partition: number): Promise<void> => {
    const value = `${partition}-${counts[partition]!++}`
    sent++
    try {
      const { offset } = await transport.send({
        topic,
        partition,
        key: null,
        value: Buffer.from(value),
        headers: [],
      })
      acknowledged[partition]!.set(offset, value)
    } catch (error) {
      failures.push(error as Error)
    }
  }
  const running = (async () => {
    const began = performance.now()
    while (!abort.signal.aborted) {
      const due = ((performance.now() - began) / 1000) * rate
      for (let left = Math.ceil(due) - sent; left > 0; left--) outcomes.push(send(sent % partitions))
      await sleep(10, undefined, { signal: abort.signal }).catch(() => undefined)
    }
  })()
  return {
    acknowledged,
    failures,
    get sent() {
      return sent
    },
    async stop() {
      abort.abort()
      await running
      await Promise.all(outcomes)
    },
  }
}
