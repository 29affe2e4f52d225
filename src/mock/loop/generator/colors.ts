import type { Random } from './random.js'

export type Color = readonly [red: number, green: number, blue: number]

/** A calm colour for backgrounds. */
export function backgroundColor(random: Random): Color {
  return fromHsl(random.range(0, 360), random.range(0.05, 0.35), random.range(0.25, 0.8))
}

/** A colour that differs from all the given ones; it has no relation to the category. */
export function distinctColor(random: Random, others: readonly Color[]): Color {
  let best = fromHsl(random.range(0, 360), random.range(0.45, 0.95), random.range(0.25, 0.75))
  for (let i = 0; i < 12 && nearest(best, others) < 110; i++) {
    const next = fromHsl(random.range(0, 360), random.range(0.45, 0.95), random.range(0.2, 0.8))
    if (nearest(next, others) > nearest(best, others)) best = next
  }
  return best
}

export function toHex(color: Color): string {
  return `#${color.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`
}

function nearest(color: Color, others: readonly Color[]): number {
  return Math.min(...others.map((other) => Math.hypot(color[0] - other[0], color[1] - other[1], color[2] - other[2])))
}

function fromHsl(hue: number, saturation: number, lightness: number): Color {
  const part = (n: number) => {
    const k = (n + hue / 30) % 12
    const a = saturation * Math.min(lightness, 1 - lightness)
    return 255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)))
  }
  return [part(0), part(8), part(4)]
}
