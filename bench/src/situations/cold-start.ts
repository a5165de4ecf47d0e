/** What a new process waits for: short-lived workers, functions and restarts pay it each time. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median } from '../statistics.ts'
import type { Situation } from './situation.ts'

const processes = 9
const run = promisify(execFile)
const program = fileURLToPath(new URL('../side/cold-start.ts', import.meta.url))
/** As users have it: from source, most of the time would go into taking the types out. */
const built = fileURLToPath(import.meta.resolve('@milena/request-reply/package.json')).replace(
  /package\.json$/,
  'dist/index.js',
)

type Steps = Readonly<Record<string, { readonly clock: number; readonly processor: number }>>

export const coldStart: Situation = {
  name: 'cold-start',
  title: `A process's first start, medians of ${processes} processes in ms`,
  unfit: () => (existsSync(built) ? undefined : 'the packages are not built: npm run build'),
  async run({ brokers, transport }) {
    const topics = ['cold-start-requests', 'cold-start-replies'] as const
    await transport.createTopics(topics.map((name) => ({ name, partitions: 3 })))
    const all: Steps[] = []
    for (let left = processes; left > 0; left--) {
      const { stdout } = await run(process.execPath, [program, brokers.addresses[0]!, ...topics])
      all.push(JSON.parse(stdout) as Steps)
    }
    const of = (step: string, kind: 'clock' | 'processor'): number =>
      Math.round(median(all.map((steps) => steps[step]![kind])))
    const first = of('first replier', 'clock')
    return {
      targets: [
        {
          target: 'the first start() of a process: at most 300 ms',
          figure: `${first} ms, ${of('first replier', 'processor')} ms of them processor time; the second ${of('second replier', 'clock')} ms`,
          met: first <= 300,
        },
      ],
      rows: Object.keys(all[0]!).map((step) => ({
        step,
        ms: of(step, 'clock'),
        'processor ms': of(step, 'processor'),
      })),
    }
  },
}
