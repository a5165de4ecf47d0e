/**
 * How a correlation id, 16 bytes inside of the library, looks in a header: as it is, or as text.
 *
 * The text is that of `java.util.UUID`: 32 hexadecimal digits in lower case, with dashes after 8, 12, 16 and 20 of them.
 * Spring's `CorrelationKey.toString` and SmallRye's `UUIDCorrelationIdHandler` write it so; NestJS writes 21 letters and
 * digits, and takes any text. All 128 bits are random: there is no version in it, and nobody looks for one.
 */
export interface CorrelationForm {
  /** @param id of 16 bytes */
  write(id: Buffer): Buffer
  /** The 16 bytes that `write` was given; `undefined` when it cannot have written this. */
  read(bytes: Buffer): Buffer | undefined
}

export const rawCorrelation: CorrelationForm = {
  write: (id) => id,
  read: (bytes) => (bytes.length === 16 ? bytes : undefined),
}

export const textCorrelation: CorrelationForm = { write: writeText, read: readText }

const dash = 0x2d
const digits = Buffer.from('0123456789abcdef')
/** Which of the 16 bytes have a dash before them. */
const dashed = new Set([4, 6, 8, 10])

/** Digit by digit: a call of `toString`, out of V8 and back, and five slices cost more. */
function writeText(id: Buffer): Buffer {
  const text = Buffer.allocUnsafe(36)
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (dashed.has(i)) text[at++] = dash
    const byte = id[i]!
    text[at++] = digits[byte >> 4]!
    text[at++] = digits[byte & 15]!
  }
  return text
}

function readText(text: Buffer): Buffer | undefined {
  if (text.length !== 36) return undefined
  const id = Buffer.allocUnsafe(16)
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (dashed.has(i) && text[at++] !== dash) return undefined
    const high = digitOf(text[at++]!)
    const low = digitOf(text[at++]!)
    if (high < 0 || low < 0) return undefined
    id[i] = (high << 4) | low
  }
  return id
}

/** −1 when it is none in lower case. */
function digitOf(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30
  return character >= 0x61 && character <= 0x66 ? character - 0x57 : -1
}
