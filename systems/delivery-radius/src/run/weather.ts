/** Fires the storm at a way: each trigger at its time, whether those before it have ended or not. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Way } from '../ways/way.ts'
import { percentile } from './percentiles.ts'
import type { Trigger } from './storm.ts'

export interface Weathered {
  /** Milliseconds from the first trigger to the last answer. */
  readonly took: number
  /** Milliseconds from a trigger's time to its caller's knowing what has become of all of it. */
  readonly p50: number
  readonly p99: number
}

export async function weather(
  way: Way,
  storm: readonly Trigger[],
  onProgress: (fired: number, ended: number) => void,
): Promise<Weathered> {
  const waits: number[] = []
  const fired: Promise<void>[] = []
  const began = performance.now()
  const fire = async (trigger: Trigger): Promise<void> => {
    await way.fire(trigger)
    waits.push(performance.now() - began - trigger.at)
    onProgress(fired.length, waits.length)
  }
  for (const trigger of storm) {
    const early = began + trigger.at - performance.now()
    // oxlint-disable-next-line no-await-in-loop -- its time has to come
    if (early > 0) await sleep(early)
    fired.push(fire(trigger))
    onProgress(fired.length, waits.length)
  }
  await Promise.all(fired)
  const took = performance.now() - began
  return { took, p50: percentile(waits, 50), p99: percentile(waits, 99) }
}
