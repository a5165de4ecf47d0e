/**
 * Notices that the command was started by somebody who is gone.
 *
 * `npm run` puts a shell between itself and us. A signal to npm ends npm and that shell, and never reaches us: the
 * system would stay behind. So under npm we look whether our parent, and its parent, are still the same. A command that
 * another command has forked has a channel to it, which closes when that one is gone.
 */
import { readFileSync } from 'node:fs'

/** Milliseconds between looks. */
const interval = 500

/** Calls `onGone` once when that happens; does nothing when neither npm nor another command started us. */
export function watchLineage(onGone: () => void): void {
  if (process.connected) {
    process.once('disconnect', onGone)
    process.channel?.unref()
    return
  }
  if (process.env['npm_lifecycle_event'] === undefined) return
  const began = lineage()
  const timer = setInterval(() => {
    if (lineage() === began) return
    clearInterval(timer)
    onGone()
  }, interval)
  timer.unref()
}

function lineage(): string {
  const parent = process.ppid
  return `${parent} ${parentOf(parent)}`
}

/** Known on Linux; elsewhere only our own parent counts. */
function parentOf(pid: number): string {
  try {
    // proc(5): pid, the name in parentheses, which may have spaces, the state, the parent's pid.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? ''
  } catch {
    return ''
  }
}
