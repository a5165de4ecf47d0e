/** A command that runs until it is told to end: exit statuses, signals, and nothing left behind. */
import { watchLineage } from './lineage.ts'
import { messageOf, StartError } from './start-error.ts'

export interface Command {
  /** Resolves when the command is up; what it resolves with, if a number, ends it with that status. */
  run(): Promise<number | void>
  /** Ends everything that was started, however far it came. */
  close(): Promise<void>
  /** What a close may be waiting for, said when a signal has begun it, where that can take its time. */
  readonly closeWaitsFor?: string
}

/** Milliseconds: npm hands a Ctrl-C on that the terminal has sent us too. It is still the first one. */
const sameKey = 500

/**
 * Status 0: ended as asked. 2: something that a person can put right (`StartError`), told in one line. 1: everything
 * else. `begin` returns `undefined` when there is nothing to run.
 */
export function runCommand(begin: () => Command | undefined): void {
  let command: Command | undefined
  let ending: Promise<void> | undefined

  function end(status: number): Promise<void> {
    ending ??= (command?.close() ?? Promise.resolve()).then(
      () => process.exit(status),
      (error: unknown) => {
        console.error(messageOf(error))
        process.exit(1)
      },
    )
    return ending
  }

  async function run(): Promise<void> {
    try {
      command = begin()
      const status = await command?.run()
      if (status !== undefined) await end(status)
    } catch (error) {
      // Being ended while it starts makes the start fail: that is no news.
      if (ending !== undefined) return
      const usage = error instanceof StartError
      console.error(usage ? messageOf(error) : error)
      await end(usage ? 2 : 1)
    }
  }

  let firstAt: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second Ctrl-C does not wait: the children see the channel close, and end within 3 s however far they are.
      if (firstAt !== undefined) {
        if (performance.now() - firstAt < sameKey) return
        console.error('ending at once')
        process.exit(1)
      }
      firstAt = performance.now()
      if (command?.closeWaitsFor !== undefined) {
        console.error(`ending: waits for ${command.closeWaitsFor}; ${signal} again ends it at once`)
      }
      void end(0)
    })
  }
  watchLineage(() => void end(1))
  void run()
}
