/** Which methods the routes of an application take at a path: to tell an unknown path from another method's (RFC 9110, 15.5.6). */
import type { FastifyInstance } from 'fastify'

/** To be called before routes are added. Gives the methods of those at a path; none: there is no such path. */
export function knownMethods(app: Pick<FastifyInstance, 'addHook'>): (path: string) => readonly string[] {
  const known: { readonly method: string; readonly pattern: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) known.push({ method: one, pattern: patternOf(url) })
  })
  return (path) => [...new Set(known.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))]
}

function patternOf(url: string): RegExp {
  const parts = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)))
  return new RegExp(`^${parts.join('/')}$`)
}
