import type { RawHeader } from './headers.ts'
import type { WireProfile } from './profile.ts'

const ours = Buffer.from('milena-')

/**
 * The names of headers that the library itself writes and reads: `milena-*` and those of the wire profile. An
 * application's header of such a name could turn a reply into an error, or into another request's reply.
 */
export class ReservedHeaders {
  readonly #names: readonly Buffer[]

  constructor(profile: WireProfile) {
    this.#names = [
      profile.correlationHeader(Buffer.alloc(16))[0],
      ...[
        ...profile.addressHeaders({ topic: 'any', partition: 0 }),
        ...(profile.replyHeaders ?? []),
        ...(profile.errorHeaders?.({ code: 'ANY', message: 'any' }) ?? []),
      ].map(([name]) => name),
    ]
  }

  has(name: Buffer): boolean {
    if (name.length >= ours.length && ours.compare(name, 0, ours.length) === 0) return true
    return this.#names.some((reserved) => reserved.equals(name))
  }

  /** @throws TypeError that names the first header which is reserved. */
  refuse(headers: readonly RawHeader[]): void {
    for (const [name] of headers) {
      if (this.has(name))
        throw new TypeError(`the header ${JSON.stringify(name.toString())} is one of the library's own`)
    }
  }
}
