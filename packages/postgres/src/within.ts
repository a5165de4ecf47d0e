import type { Clock, ScheduledTimer } from '@milena/request-reply'

/** @throws Error when PostgreSQL takes longer than that; then it is not known whether it was done */
export async function within<Result>(
  clock: Clock,
  milliseconds: number,
  work: Promise<Result>,
): Promise<Result> {
  let timer: ScheduledTimer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = clock.schedule(milliseconds, () =>
      reject(new Error(`PostgreSQL has not answered within ${milliseconds} ms`)),
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer?.cancel()
  }
}
