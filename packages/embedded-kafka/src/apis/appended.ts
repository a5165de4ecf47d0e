import type { Partition } from '../log/partition.ts'

/**
 * Resolves when `bytes` were appended to the partitions, one of them was deleted, the wait is over or the connection
 * is closed; whatever ends it, nothing keeps listening. What is done then is done a microtask later: by then the
 * produce request that woke it has appended to all of its partitions.
 */
export function untilAppended(
  partitions: readonly Partition[],
  bytes: number,
  maxWaitMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    let missing = bytes
    const appended = (size: number): void => {
      missing -= size
      if (missing <= 0) wake()
    }
    const wake = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', wake)
      for (const partition of partitions) partition.unlisten(appended)
      resolve()
    }
    const timer = setTimeout(wake, maxWaitMs)
    signal.addEventListener('abort', wake)
    for (const partition of partitions) partition.listen(appended)
  })
}
