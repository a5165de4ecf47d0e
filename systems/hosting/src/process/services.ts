/** A system's services by their names: each is started again when it dies, at the port that it had. */
import { SupervisedChild } from './supervisor.ts'

/** What a process with an HTTP server tells of itself. */
export interface ServiceFacts {
  readonly port: number
  readonly url: string
}

/** A service's entry file, and what it is started with: made anew at each start. */
export interface ServiceSpec {
  readonly entry: URL
  readonly config: () => object
}

export class Services<Name extends string> {
  readonly #log: (line: string) => void
  readonly #children = new Map<Name, SupervisedChild>()
  readonly #specs = new Map<Name, ServiceSpec>()
  /** Killed or taken down, and not ready again. */
  readonly #away = new Set<Name>()
  /** Taken down, and not brought up yet. */
  readonly #down = new Set<Name>()

  constructor(log: (line: string) => void) {
    this.#log = log
  }

  start(name: Name, spec: ServiceSpec): Promise<void> {
    this.#specs.set(name, spec)
    return this.#start(name)
  }

  /** What it said of itself when it was last ready. */
  factsOf(name: Name): unknown {
    return this.#children.get(name)?.facts
  }

  urlOf(name: Name): string {
    return (this.factsOf(name) as ServiceFacts).url
  }

  pidOf(name: Name): number {
    return this.#children.get(name)!.pid
  }

  /** Whether it was ready, and was not killed since. */
  isUp(name: Name): boolean {
    return !this.#away.has(name) && this.isThere(name)
  }

  /** Whether its process is there; it may still be starting, or recovering. */
  isThere(name: Name): boolean {
    return !this.#down.has(name) && this.#children.get(name)?.alive === true
  }

  /** Kills it with SIGKILL; it is started again at once. */
  kill(name: Name): void {
    this.#away.add(name)
    this.#children.get(name)!.kill()
  }

  /** Kills it; it stays away until `bringUp`. */
  async takeDown(name: Name): Promise<void> {
    this.#away.add(name)
    this.#down.add(name)
    const child = this.#children.get(name)!
    const stopped = child.stop()
    child.kill()
    await stopped
  }

  async bringUp(name: Name): Promise<void> {
    await this.#start(name)
    this.#down.delete(name)
    this.#away.delete(name)
  }

  /** Ends those of these that were started. */
  async stop(names: readonly Name[]): Promise<void> {
    await Promise.all(names.map(async (name) => this.#children.get(name)?.stop()))
  }

  async #start(name: Name): Promise<void> {
    const { entry, config } = this.#specs.get(name)!
    const again = (facts: unknown): object => ({ ...config(), ...portOf(facts) })
    const onRestart = (): void => void this.#away.delete(name)
    const child = new SupervisedChild(
      { name, entry, config: again(this.factsOf(name)), restartConfig: again, onRestart },
      { restart: true, onChange: () => {}, log: this.#log },
    )
    this.#children.set(name, child)
    await child.start()
  }
}

function portOf(facts: unknown): Partial<ServiceFacts> {
  const port = (facts as Partial<ServiceFacts> | undefined)?.port
  return port === undefined ? {} : { port }
}
