// Loaded before each test file. The test process ends with the check that started it, and says what keeps it
// alive when it is asked to (SIGUSR2): that is how a leaked socket, timer or process gets a name.
import { after } from 'node:test'
import type { TestMessage } from './messages.ts'

process.on('disconnect', () => process.exit(1))
process.channel?.unref() // listening must not keep the process alive, or every file would look like a leak

// When no test of a file matches --grep, Node runs its hooks all the same, the last ones perhaps before the first ones
// have ended: what these open then stays open. The check is told that the file is over.
if (process.execArgv.some((argument) => argument.startsWith('--test-name-pattern='))) {
  const over: TestMessage = { kind: 'over' }
  after(() => void process.send?.(over))
}

process.on('SIGUSR2', () => {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    if (name !== 'SignalWrap' && name !== 'PipeWrap') counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const parts = [...counts].map(([name, count]) => (count === 1 ? name : `${count} × ${name}`))
  process.stderr.write(`still open: ${parts.join(', ') || 'nothing that Node can name'}\n`)
})
