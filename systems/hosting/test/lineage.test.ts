import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { waitFor } from '../../../test/support/wait-for.ts'

const entry = fileURLToPath(new URL('endless-command.ts', import.meta.url))

test('a command that another one has forked ends when that one is killed', async (t) => {
  const fork = `require('node:child_process').fork(${JSON.stringify(entry)}, { detached: true })`
  // Not as under npm, where it would look at its ancestors.
  const { npm_lifecycle_event: _, ...env } = process.env
  const parent = spawn(process.execPath, ['-e', fork], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(said)
  t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'))
  parent.kill('SIGKILL')
  await waitFor(() => !isAlive(pid), { what: 'the command to be gone' })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
