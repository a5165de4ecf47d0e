/** What others may know of a running system, and the file that says it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { RoutingName } from './routing/choose.ts'
import { messageOf, StartError } from '@milena/hosting'

export interface SystemState {
  /** The process that supervises the others: ending it ends them all. */
  readonly pid: number
  /** `host:port,…` */
  readonly brokers: string
  readonly gateways: readonly { readonly pid: number; readonly url: string }[]
  readonly workers: readonly { readonly pid: number }[]
  readonly provider: { readonly pid: number; readonly url: string }
  /** Its URL. */
  readonly database: string
  /** Its URL, where there is one. */
  readonly redis?: string | undefined
  readonly prefix: string
  readonly routing: RoutingName
}

/** Written beside it and moved into place, so that a reader never sees half of it. */
export function writeState(file: string, state: SystemState): void {
  const draft = `${file}.${process.pid}.tmp`
  try {
    // It has the database's password.
    writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw new StartError(`cannot write --state ${file}: ${messageOf(error)}`)
  }
}

/** @throws StartError when there is no such file, or the system that wrote it has ended. */
export function readState(file: string): SystemState {
  let state: SystemState
  try {
    state = JSON.parse(readFileSync(file, 'utf8')) as SystemState
  } catch (error) {
    throw new StartError(
      `cannot read ${file}: ${messageOf(error)}: is the system running with --state ${file}?`,
    )
  }
  if (!isAlive(state.pid)) {
    throw new StartError(`the system of ${file} has ended: start it with npm run payments -- --state ${file}`)
  }
  return state
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
