/** `npm run systems`: the five systems, one after the other. */
import { messageOf, Progress, runCommand, StartError, type Command } from '@milena/hosting'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandRun } from './command-run.ts'
import { help, readOptions, type SystemsOptions } from './options.ts'
import { summary, type Result } from './summary.ts'
import { typed, type System } from './systems.ts'

class AllSystems implements Command {
  readonly #options: SystemsOptions
  readonly #progress = new Progress(process.stderr)
  #running: CommandRun | undefined

  constructor(options: SystemsOptions) {
    this.#options = options
  }

  async run(): Promise<number> {
    const { chosen, output } = this.#options
    if (output !== undefined) await makeFolder(output)
    const results: Result[] = []
    for (const [index, system] of chosen.entries()) {
      const result = await this.#runOne(system, `${index + 1} of ${chosen.length}: ${typed(system)}`)
      results.push(result)
      if (output !== undefined) await writeFile(join(output, `${system.name}.txt`), result.output)
      this.#tell(result)
    }
    console.log(`\n${summary(results)}`)
    return results.every(({ failure }) => failure === undefined) ? 0 : 1
  }

  close(): Promise<void> {
    this.#progress.clear()
    return this.#running?.stop() ?? Promise.resolve()
  }

  async #runOne(system: System, step: string): Promise<Result> {
    const { verbose } = this.#options
    const begun = Date.now()
    const run = new CommandRun(system, (chunk) => {
      if (verbose) process.stdout.write(chunk)
    })
    this.#running = run
    const show = (): void => {
      const seconds = ((Date.now() - begun) / 1000).toFixed(0)
      this.#progress.show(step, verbose ? '' : `  ${seconds} s  ${run.lastLine}`.slice(0, 100))
    }
    show()
    const timer = setInterval(show, 500)
    const ended = await run.run()
    clearInterval(timer)
    this.#progress.clear()
    return { ...ended, system, took: Date.now() - begun }
  }

  #tell({ system, took, failure, output }: Result): void {
    const how = failure === undefined ? 'ok' : `FAILED: ${failure}`
    console.log(`${system.name}: ${how}, ${(took / 1000).toFixed(1)} s`)
    if (failure === undefined || this.#options.verbose || output.trim() === '') return
    const lines = output.trimEnd().split('\n')
    console.log(lines.map((line) => `  ${system.name} | ${line}`).join('\n'))
  }
}

async function makeFolder(output: string): Promise<void> {
  try {
    await mkdir(output, { recursive: true })
  } catch (error) {
    throw new StartError(`--output ${output} is no folder, and cannot be made one: ${messageOf(error)}`)
  }
}

runCommand(() => {
  const options = readOptions(process.argv.slice(2))
  if (options !== 'help') return new AllSystems(options)
  process.stdout.write(help)
  return undefined
})
