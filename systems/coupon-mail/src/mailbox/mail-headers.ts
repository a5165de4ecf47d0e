/** Reads the header fields of a mail (RFC 5322): unfolded, the first of each name, names in lower case. */
export function readMailHeaders(raw: string): ReadonlyMap<string, string> {
  const end = raw.search(/\r?\n\r?\n/)
  const unfolded = (end < 0 ? raw : raw.slice(0, end)).replaceAll(/\r?\n[ \t]+/g, ' ')
  const fields = new Map<string, string>()
  for (const line of unfolded.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon > 0 && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim())
  }
  return fields
}
