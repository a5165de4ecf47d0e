/** Waiting for a broker that may hang, for as long as it is the one to ask. */
import { Pauses, type PauseOptions } from './pauses.ts'

/**
 * The outcome of a request; rejects as soon as a look says that another broker is to be asked by now. What hangs would
 * keep it as long as the request may take.
 *
 * @param looks how long to wait before the first look, and between two
 * @param look why the request is for nothing by now; `undefined` when it is not, or that cannot be known. Its signal fires
 * when the outcome is there
 */
export async function untilMoved<Answer>(
  asking: Promise<Answer>,
  looks: PauseOptions,
  look: (over: AbortSignal) => Promise<string | undefined>,
): Promise<Answer> {
  const moved = Promise.withResolvers<never>()
  const over = new AbortController()
  const pauses = new Pauses(looks)
  const watch = async (): Promise<void> => {
    for (;;) {
      await pauses.wait(over.signal)
      if (over.signal.aborted) return
      const why = await look(over.signal)
      if (why === undefined) continue
      moved.reject(new Error(why))
      return
    }
  }
  void watch()
  try {
    return await Promise.race([asking, moved.promise])
  } finally {
    over.abort()
  }
}
