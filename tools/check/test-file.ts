import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TestMessage } from './messages.ts'

const reporter = fileURLToPath(new URL('reporter.ts', import.meta.url))
const guard = new URL('guard.ts', import.meta.url).href
const keptOutput = 200_000
/** Milliseconds that a file of which no test matches `grep` has to end by itself. */
const unmatchedLimit = 2_000
/** What guard.ts says of a process that does not end. */
const stillOpen = /still open: .*(?=\n)/

export interface TestLimits {
  /** Milliseconds for one test. */
  test: number
  /** Milliseconds for the whole file. */
  file: number
  /** Milliseconds from the end of the last test to the end of the process; then something was left open. */
  leak: number
}

export interface TestFileOptions {
  root: string
  limits: TestLimits
  env: Readonly<Record<string, string | undefined>>
  /** Only tests whose names match this regular expression. */
  grep?: string | undefined
}

export interface TestFileResult {
  file: string
  passed: number
  failures: { name: string; detail: string }[]
  skips: { name: string; reason: string }[]
  /** What the process wrote, the end of it if it was very much. */
  output: string
  duration: number
}

/**
 * Runs one test file in a process of its own and waits for that process to end by itself: nothing forces it,
 * so what a test left open shows. Always resolves; whatever goes wrong with the process is a failure in it.
 */
export async function runTestFile(file: string, options: TestFileOptions): Promise<TestFileResult> {
  const { root, limits, env, grep } = options
  const begun = Date.now()
  const result: TestFileResult = { file, passed: 0, failures: [], skips: [], output: '', duration: 0 }
  const fail = (name: string, detail: string): void => void result.failures.push({ name, detail })
  const child = fork(file, {
    cwd: root,
    // In a process group of its own, so that what it leaves behind can be ended together with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...env },
    execArgv: [
      '--conditions=x-source',
      `--import=${guard}`,
      `--test-reporter=${reporter}`,
      '--test-reporter-destination=stdout',
      `--test-timeout=${limits.test}`,
      ...(grep === undefined ? [] : [`--test-name-pattern=${grep}`]),
    ],
  })
  const endWithUs = (): void => killGroup(child)
  process.once('exit', endWithUs)

  const keep = (chunk: Buffer): void => {
    result.output = (result.output + chunk.toString()).slice(-keptOutput)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)

  let stopped: { name: string; detail: string } | undefined
  const stop = async (name: string, detail: string): Promise<void> => {
    stopped = { name, detail }
    child.kill('SIGUSR2')
    const hasSaid = (): boolean => stillOpen.test(result.output) || child.signalCode !== null
    for (let patience = 50; patience > 0 && !hasSaid(); patience -= 1) await sleep(100)
    killGroup(child)
  }
  const fileTimer = setTimeout(
    () => void stop('the file as a whole', `did not end within ${limits.file} ms and was killed`),
    limits.file,
  )
  let leakTimer: NodeJS.Timeout | undefined
  let hasTests = false
  let over = false
  child.on('message', (message: TestMessage) => {
    if (message.kind === 'over') {
      over = true
      // What tells of a test comes another way, and may be a moment behind.
      if (!hasTests) leakTimer = setTimeout(() => killGroup(child), unmatchedLimit)
      return
    }
    if (message.kind === 'busy') hasTests = true
    if (message.kind === 'passed') result.passed += 1
    else if (message.kind === 'failed') fail(message.name, message.detail)
    else if (message.kind === 'skipped') {
      if (message.reason === undefined) fail(message.name, 'is skipped without a reason: say why in `skip`')
      else result.skips.push({ name: message.name, reason: message.reason })
    } else clearTimeout(leakTimer)
    if (message.kind === 'idle') {
      leakTimer = setTimeout(
        () =>
          void stop('the end of the process', 'all tests have ended but something keeps the process alive'),
        limits.leak,
      )
    }
  })

  const told = new Promise((resolve) => child.once('disconnect', resolve))
  const status = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    // After 'close' nothing more is printed. What inherited its output may hold that up: it is not waited for,
    // but all that it told is.
    child.once('exit', (code, signal) => {
      void Promise.all([told, sleep(1_000)]).then(() => resolve(code ?? signal))
    })
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  clearTimeout(fileTimer)
  clearTimeout(leakTimer)
  process.off('exit', endWithUs)
  // Its hooks may have failed for want of each other: without a test that is nobody's failure.
  const unmatched = over && !hasTests
  if (unmatched) result.failures.length = 0
  const left = stopped || unmatched ? [] : await leftInGroup(child)
  killGroup(child)

  for (const command of left) fail('the end of the process', `a process that it started goes on: ${command}`)
  if (stopped) fail(stopped.name, `${stopped.detail}; ${stillOpen.exec(result.output)?.[0] ?? ''}`)
  else if (status !== 0 && result.failures.length === 0 && !unmatched)
    fail('the process', `ended with status ${status}`)
  else if (result.passed + result.failures.length + result.skips.length === 0 && grep === undefined) {
    fail('the file as a whole', 'ran no test')
  }
  result.duration = Date.now() - begun
  return result
}

/** Command lines of what the process started and what goes on a while after its own end. */
async function leftInGroup(child: ChildProcess): Promise<string[]> {
  for (let patience = 30; patience > 0; patience -= 1) {
    if (!groupExists(child)) return []
    await sleep(100)
  }
  const { stdout } = spawnSync('ps', ['-eo', 'pgid=,args='], { encoding: 'utf8' })
  const lines = (stdout ?? '').split('\n').map((line) => line.trim().split(/\s+/))
  const commands = lines
    .filter(([group]) => group === String(child.pid))
    .map(([, ...command]) => command.join(' '))
  return commands.length > 0 ? commands : ['(its command line cannot be read)']
}

function groupExists(child: ChildProcess): boolean {
  if (child.pid === undefined) return false
  try {
    process.kill(-child.pid, 0)
    return true
  } catch {
    return false
  }
}

/** Ends the process and all that it started, if there is still something. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nothing is left of the group.
  }
}
