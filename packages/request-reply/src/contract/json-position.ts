/**
 * Where a text stops being JSON. V8 says it for some faults; for an unexpected character it quotes the text around it
 * instead, which must not get into a message.
 */

/** The index of the first character that cannot stand where it stands; the text's length where it only ends too soon. */
export function malformedAt(text: string): number {
  /** What closes each object and list that is open. */
  const open: ('}' | ']')[] = []
  let expected: 'value' | 'first item' | 'key' | 'first key' | 'colon' | 'next' = 'value'
  let at = 0
  for (;;) {
    at = after(blank, text, at)
    const character = text[at]
    if (character === undefined) return at
    if (expected === 'colon') {
      if (character !== ':') return at
      expected = 'value'
      at++
    } else if (expected === 'next' && character === ',' && open.length > 0) {
      expected = open.at(-1) === '}' ? 'key' : 'value'
      at++
    } else if (character === open.at(-1) && expected !== 'value' && expected !== 'key') {
      open.pop()
      expected = 'next'
      at++
    } else if (expected === 'next') {
      return at
    } else if (expected === 'key' || expected === 'first key') {
      if (character !== '"') return at
      at = afterString(text, at)
      expected = 'colon'
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? '}' : ']')
      expected = character === '{' ? 'first key' : 'first item'
      at++
    } else {
      const end = character === '"' ? afterString(text, at) : after(scalar, text, at)
      if (end === at) return at
      expected = 'next'
      at = end
    }
  }
}

const blank = /[ \t\n\r]*/y
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

/** What is wrong inside of a string V8 says by itself. */
function afterString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return Math.min(at + 1, text.length)
}
