/** A command that says its pid and runs until it is ended: for lineage.test.ts. */
import { runCommand } from '../src/process/command.ts'

runCommand(() => ({
  run: () => {
    console.log(process.pid)
    return new Promise(() => setInterval(() => {}, 60_000))
  },
  close: () => Promise.resolve(),
}))
