/**
 * The child's side of supervision: every process of the system but the first begins with `runChild`.
 *
 * A child never outlives its parent: the IPC channel closes when the parent ends, in whatever way, and the child
 * then stops. It runs in a session of its own, so Ctrl-C in a terminal reaches only the parent, which stops the
 * children in order.
 */
import { keepCompiled } from './compile-cache.ts'
import { messageOf, StartError } from './start-error.ts'
import type { FromChild, ToChild } from './messages.ts'

export interface RunningChild {
  readonly facts: unknown
  /** Ends the work. `orphaned`: the parent is gone and nobody waits, so only tidy up. */
  close(reason: { readonly orphaned: boolean }): Promise<void>
}

/** Milliseconds that a close may take before the process ends regardless. */
const closeBound = 15_000
const orphanCloseBound = 3_000

/** `start` takes the configuration that its `ChildSpec` has. */
export function runChild(start: (config: never) => Promise<RunningChild>): void {
  let running: RunningChild | undefined
  let ending = false

  function end(orphaned: boolean): void {
    // Not unref'd: it must fire even when close() hangs on nothing that keeps the process alive. It counts for whoever
    // is orphaned while it closes, too: nobody is there to end it.
    if (orphaned || !ending) setTimeout(() => process.exit(1), orphaned ? orphanCloseBound : closeBound)
    if (ending) return
    ending = true
    const closed = running === undefined ? Promise.resolve() : running.close({ orphaned })
    closed.then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`${process.argv[1]}: while closing: ${messageOf(error)}`)
        process.exit(1)
      },
    )
  }

  if (process.send === undefined) {
    console.error('this process is a part of a system, whose command starts it')
    process.exit(2)
  }
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => end(false))
  process.on('disconnect', () => end(true))
  process.once('message', (message: ToChild) => {
    start(message.config as never).then(
      (child) => {
        running = child
        // The parent may have ended, or asked us to stop, while we were starting.
        if (ending) void child.close({ orphaned: true }).finally(() => process.exit(0))
        else tell({ type: 'ready', facts: child.facts }, keepCompiled)
      },
      (error: unknown) => {
        const usage = error instanceof StartError
        const message = usage || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message)
        tell({ type: 'failed', message, usage }, () => process.exit(1))
      },
    )
  })
}

function tell(message: FromChild, then?: () => void): void {
  if (process.connected) process.send!(message, undefined, undefined, () => then?.())
  else then?.()
}
