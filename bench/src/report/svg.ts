/** Pictures in a few lines: a line chart and bars, readable on white and on black. */
import type { Chart } from '../results.ts'
import { threeFigures } from '../statistics.ts'

const width = 900
const height = 380
const left = 60
const right = 360
const top = 40
const bottom = 50
const colours = [
  '#1f77b4',
  '#d62728',
  '#2ca02c',
  '#9467bd',
  '#ff7f0e',
  '#17becf',
  '#e377c2',
  '#8c564b',
  '#bcbd22',
  '#7f7f7f',
  '#4c78a8',
]

type Scale = ((value: number) => number) & { readonly ticks: readonly number[] }

export function lineChart({ title, x, y, logarithmic, lines }: Chart): string {
  const known = lines
    .map(({ name, points }) => ({ name, points: points.filter((point) => point.every(isShown)) }))
    .filter(({ points }) => points.length > 0)
  const all = known.flatMap(({ points }) => points)
  const across = scale(
    all.map(([at]) => at),
    left,
    width - right,
    logarithmic,
  )
  const up = scale(
    all.map(([, value]) => value),
    height - bottom,
    top,
    logarithmic,
  )
  const drawn = known.map(({ name, points }, index) => {
    const colour = colours[index % colours.length]!
    const spots = points.map(([at, value]) => `${round(across(at))},${round(up(value))}`)
    const dots = spots.map(
      (spot) => `<circle cx="${spot.split(',')[0]}" cy="${spot.split(',')[1]}" r="3" fill="${colour}"/>`,
    )
    return [
      `<polyline points="${spots.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...dots,
      legend(index, name, colour),
    ].join('\n')
  })
  return picture(title, [
    ...across.ticks.map((tick) => label(across(tick), height - bottom + 16, short(tick), 'middle')),
    ...up.ticks.map((tick) => gridLine(up(tick), short(tick))),
    label((left + width - right) / 2, height - 12, x, 'middle'),
    label(left - 45, top - 12, y, 'start'),
    ...drawn,
  ])
}

export interface Bars {
  readonly title: string
  readonly unit: string
  /** What each bar is stacked of. */
  readonly parts: readonly string[]
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[]
}

export function barChart({ title, unit, parts, bars }: Bars): string {
  const rowHeight = 24
  const most = Math.max(...bars.map(({ values }) => total(values)), Number.MIN_VALUE)
  const rows = bars.flatMap(({ name, values }, row) => {
    const y = top + 30 + row * rowHeight
    let at = right
    const boxes = values.map((value, part) => {
      const wide = isShown(value) ? (value / most) * (width - right - 80) : 0
      const box = `<rect x="${round(at)}" y="${y}" width="${round(wide)}" height="16" fill="${colours[part]}"/>`
      at += wide
      return box
    })
    return [
      label(right - 8, y + 12, name, 'end'),
      ...boxes,
      label(at + 6, y + 12, `${short(total(values))} ${unit}`, 'start'),
    ]
  })
  const key = parts.map(
    (part, index) =>
      `<rect x="${right + index * 120}" y="${top + 2}" width="12" height="12" fill="${colours[index]}"/>${label(right + index * 120 + 18, top + 12, part, 'start')}`,
  )
  return picture(title, [...key, ...rows], top + 50 + bars.length * rowHeight)
}

function picture(title: string, content: readonly string[], tall = height): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${tall}" font-family="sans-serif" font-size="12" fill="#777">
<text x="${left}" y="18" font-size="14" font-weight="bold">${escape(title)}</text>
${content.join('\n')}
</svg>
`
}

function scale(values: readonly number[], from: number, to: number, logarithmic: boolean): Scale {
  const low = logarithmic ? 10 ** Math.floor(Math.log10(Math.min(...values))) : 0
  const high = logarithmic ? 10 ** Math.ceil(Math.log10(Math.max(...values)) + 1e-9) : Math.max(...values)
  const place = (value: number): number =>
    logarithmic ? Math.log10(value / low) / Math.log10(high / low) : value / high
  const decades = Math.round(Math.log10(high / low))
  const ticks = logarithmic
    ? Array.from({ length: decades + 1 }, (_, n) => low * 10 ** n)
    : Array.from({ length: 6 }, (_, n) => (high * n) / 5)
  return Object.assign((value: number) => from + place(value) * (to - from), { ticks })
}

function gridLine(y: number, text: string): string {
  return `<line x1="${left}" x2="${width - right}" y1="${round(y)}" y2="${round(y)}" stroke="#7777" stroke-width="0.5"/>${label(left - 6, y + 4, text, 'end')}`
}

function legend(index: number, name: string, colour: string): string {
  const y = top + 8 + index * 18
  const x = width - right + 20
  return `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${colour}"/>${label(x + 16, y, name, 'start')}`
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escape(text)}</text>`
}

/** A logarithmic axis has no place for 0. */
function isShown(value: number): boolean {
  return Number.isFinite(value) && value > 0
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + (isShown(value) ? value : 0), 0)
}

function short(value: number): string {
  if (value >= 1_000_000) return `${threeFigures(value / 1_000_000)} M`
  return value >= 10_000 ? `${threeFigures(value / 1000)} k` : String(threeFigures(value))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
