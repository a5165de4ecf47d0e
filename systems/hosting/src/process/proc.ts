/** What Linux tells in /proc. Where there is none (macOS, Windows) everything is undefined and the tables say so. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick is. */
const tick = 10

/** Milliseconds of processor time that a process has used. */
export function cpuOf(pid: number): number | undefined {
  return statOf(pid)?.own
}

/** The same of a process and of all that came from it, those that have ended included. */
export function cpuOfFamily(pid: number): number | undefined {
  const head = statOf(pid)
  if (head === undefined) return undefined
  const children = new Map<number, Stat[]>()
  for (const other of processes()) {
    const stat = statOf(other)
    if (stat !== undefined) children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat])
  }
  const sum = ({ pid: parent, own, ended }: Stat): number =>
    (children.get(parent) ?? []).reduce((total, child) => total + sum(child), own + ended)
  return sum(head)
}

export interface Child {
  readonly pid: number
  /** The last word of its command line: that of a `SupervisedChild` is its name. */
  readonly name: string
}

/** The processes that this one has started, and that still run. */
export function childrenOf(pid: number): Child[] {
  return (
    processes()
      .filter((other) => statOf(other)?.parent === pid)
      .map((child) => ({
        pid: child,
        name: (read(`/proc/${child}/cmdline`) ?? '').split('\0').findLast((word) => word !== ''),
      }))
      // One that has ended, and whose status nobody has taken yet, has no command line.
      .filter((child): child is Child => child.name !== undefined)
  )
}

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Milliseconds of processor time. */
  readonly own: number
  /** Of children that have ended. */
  readonly ended: number
}

function statOf(pid: number): Stat | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The second field, the name, may have blanks and brackets in it. ppid is the 4th, utime, stime, cutime and cstime
  // are the 14th to 17th.
  const [, parent = 0, ...rest] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [user = 0, system = 0, childrensUser = 0, childrensSystem = 0] = rest.slice(9)
  return { pid, parent, own: (user + system) * tick, ended: (childrensUser + childrensSystem) * tick }
}

/** Resident memory of a process in MiB. */
export function memoryOf(pid: number): number | undefined {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) / 1024
}

/**
 * Milliseconds of processor time that all processes together have used, or were kept from by other machines on the
 * same hardware. Interrupts are left out: they belong to no process, so they cannot be told from ours.
 */
export function cpuOfAll(): number | undefined {
  const fields = /^cpu +(.+)$/m
    .exec(read('/proc/stat') ?? '')?.[1]
    ?.split(' ')
    .map(Number)
  if (fields === undefined) return undefined
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = fields
  return (user + nice + system + steal) * tick
}

/** Processes that listen at these TCP ports; those of other users cannot be seen. */
export function listeners(ports: readonly number[]): number[] {
  const listening = '0A'
  const sockets = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (read(table) ?? '').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)
      if (fields[3] === listening && ports.includes(port)) sockets.add(`socket:[${fields[9]}]`)
    }
  }
  return processes().filter((pid) =>
    list(`/proc/${pid}/fd`).some((fd) => sockets.has(link(`/proc/${pid}/fd/${fd}`))),
  )
}

function processes(): number[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // no such system, or the process has ended
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
