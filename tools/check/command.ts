import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { withCompileCache } from '@milena/hosting'
import { indent } from './print.ts'
import type { Print } from './print.ts'

/** The environment of everything the check starts: the project's own Node and tools come first on the PATH. */
export function toolEnvironment(root: string): NodeJS.ProcessEnv {
  const path = [join(root, 'node_modules', '.bin'), process.env['PATH']]
  return { ...withCompileCache(process.env), PATH: path.filter(Boolean).join(delimiter) }
}

/** Runs one tool of the project. Its output is printed when it fails; resolves with whether it succeeded. */
export async function runCommand(root: string, command: readonly string[], print: Print): Promise<boolean> {
  const [name = '', ...args] = command
  const child = spawn(name, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: toolEnvironment(root),
    shell: process.platform === 'win32',
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const status = await new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (status === 0) return true
  print(indent(output))
  print(`  ✗ ${command.join(' ')} ended with ${status}`)
  return false
}
