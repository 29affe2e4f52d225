import sharp from 'sharp'
import { type Color, toHex } from './colors.js'
import { type Drawing, IMAGE_HEIGHT, IMAGE_WIDTH, type Scene } from './plan.js'
import { createRandom } from './random.js'
import type { Point } from './shapes.js'

/** Draws a scene as JPEG; the key decides the noise, so the same scene and key give the same bytes. */
export async function renderScene(scene: Scene, key: string): Promise<Buffer> {
  const raw = { width: IMAGE_WIDTH, height: IMAGE_HEIGHT, channels: 3 as const }
  return await sharp(background(scene, key), { raw })
    .composite([{ input: Buffer.from(toSvg(scene.drawings)) }])
    .jpeg({ quality: 85 })
    .toBuffer()
}

function background(scene: Scene, key: string): Buffer {
  const random = createRandom(`${key}/noise`)
  const [from, to] = scene.background
  const noise = scene.plain ? 0 : scene.noise
  const angle = random.range(0, 2 * Math.PI)
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const pixels = Buffer.allocUnsafe(IMAGE_WIDTH * IMAGE_HEIGHT * 3)
  let offset = 0
  for (let y = 0; y < IMAGE_HEIGHT; y++) {
    for (let x = 0; x < IMAGE_WIDTH; x++) {
      const along = cos * (x / IMAGE_WIDTH - 0.5) + sin * (y / IMAGE_HEIGHT - 0.5)
      const share = scene.plain ? 0 : Math.min(1, Math.max(0, along + 0.5))
      const grain = (random.next() - 0.5) * 2 * noise
      for (let channel = 0; channel < 3; channel++) {
        const value = mix(from, to, share, channel) + grain
        pixels[offset++] = Math.max(0, Math.min(255, value))
      }
    }
  }
  return pixels
}

function mix(from: Color, to: Color, share: number, channel: number): number {
  return (from[channel] ?? 0) * (1 - share) + (to[channel] ?? 0) * share
}

function toSvg(drawings: readonly Drawing[]): string {
  const parts = drawings.map((drawing, index) => (drawing.kind === 'outline' ? filled(drawing, index) : mark(drawing)))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${IMAGE_WIDTH}" height="${IMAGE_HEIGHT}">${parts.join('')}</svg>`
}

function filled(drawing: Extract<Drawing, { kind: 'outline' }>, index: number): string {
  const stops = `<stop stop-color="${toHex(drawing.color)}"/><stop offset="1" stop-color="${toHex(drawing.shade)}"/>`
  const gradient = `<linearGradient id="g${index}" x2="1" y2="1">${stops}</linearGradient>`
  return `<defs>${gradient}</defs><polygon points="${drawing.points.map(toText).join(' ')}" fill="url(#g${index})"/>`
}

function mark(drawing: Extract<Drawing, { kind: 'cross' | 'dot' }>): string {
  const { x, y } = drawing.at
  const color = toHex(drawing.color)
  if (drawing.kind === 'dot') return `<circle cx="${x}" cy="${y}" r="5" fill="${color}"/>`
  return `<path d="M${x - 6} ${y}H${x + 6}M${x} ${y - 6}V${y + 6}" stroke="${color}" stroke-width="3"/>`
}

function toText({ x, y }: Point): string {
  return `${x.toFixed(2)},${y.toFixed(2)}`
}
