/**
 * SCRAM (RFC 5802) with SHA-256 and SHA-512, as the client: it shows that it knows the password without telling it, and
 * checks that the broker does. Messages are UTF-8; no channel binding.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Refusal } from './verdicts.ts'

const derive = promisify(pbkdf2)

/** Fewer are too easily guessed from what is overheard (RFC 7677); more would be a way to keep us busy. */
const FEWEST_ITERATIONS = 4_096
const MOST_ITERATIONS = 1_000_000

export type ScramHash = 'sha256' | 'sha512'

/** One login: `first`, then `final` with the broker's answer to it, then `verify` with its answer to that. */
export class Scram {
  readonly #hash: ScramHash
  readonly #password: string
  readonly #nonce: string
  readonly #firstBare: string
  #signature: Buffer | undefined

  /** `nonce`: random, printable and without a comma; given in tests only. */
  constructor(hash: ScramHash, username: string, password: string, nonce?: string) {
    this.#hash = hash
    this.#password = password
    this.#nonce = nonce ?? randomBytes(24).toString('base64')
    this.#firstBare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.#nonce}`
  }

  first(): Buffer {
    return Buffer.from(`n,,${this.#firstBare}`)
  }

  /** Throws a `Refusal` when the broker's message cannot be trusted. */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const text = serverFirst.toString('utf8')
    const fields = fieldsOf(text)
    const [nonce, salt, iterations] = [fields.get('r') ?? '', fields.get('s') ?? '', Number(fields.get('i'))]
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || salt === '') {
      throw new Refusal('SCRAM: the broker’s first message is none that answers ours')
    }
    if (!Number.isInteger(iterations) || iterations < FEWEST_ITERATIONS || iterations > MOST_ITERATIONS) {
      throw new Refusal(
        `SCRAM: the broker asks for ${iterations} iterations; ${FEWEST_ITERATIONS} to ${MOST_ITERATIONS} are accepted`,
      )
    }
    const length = this.#hash === 'sha256' ? 32 : 64
    const salted = await derive(this.#password, Buffer.from(salt, 'base64'), iterations, length, this.#hash)
    const clientKey = this.#mac(salted, 'Client Key')
    const storedKey = createHash(this.#hash).update(clientKey).digest()
    const withoutProof = `c=biws,r=${nonce}`
    const whole = `${this.#firstBare},${text},${withoutProof}`
    const proof = this.#mac(storedKey, whole)
    for (let i = 0; i < proof.length; i++) proof[i]! ^= clientKey[i]!
    this.#signature = this.#mac(this.#mac(salted, 'Server Key'), whole)
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  /** Throws a `Refusal` when the broker does not know the password, either. */
  verify(serverFinal: Buffer): void {
    const fields = fieldsOf(serverFinal.toString('utf8'))
    const signature = Buffer.from(fields.get('v') ?? '', 'base64')
    const expected = this.#signature
    if (
      expected === undefined ||
      signature.length !== expected.length ||
      !timingSafeEqual(signature, expected)
    ) {
      throw new Refusal('SCRAM: the broker does not know the password, so it is not the one we were to trust')
    }
  }

  #mac(key: Buffer, text: string): Buffer {
    return createHmac(this.#hash, key).update(text).digest()
  }
}

function fieldsOf(message: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const field of message.split(',')) {
    if (field[1] === '=') fields.set(field[0]!, field.slice(2))
  }
  return fields
}
