import { type Box, intersectionOf } from '../../../images/index.js'
import type { Random } from './random.js'

export type Point = { readonly x: number; readonly y: number }

/** What a box category can look like, in the order in which a project with n categories takes them. */
export const boxShapes = ['circle', 'square', 'triangle', 'star', 'diamond', 'hexagon', 'arrow', 'plus'] as const
export type BoxShape = (typeof boxShapes)[number]

/** The outline of a shape, turned by chance and scaled so that its longer side is `size`, its top left corner at 0, 0. */
export function outlineOf(shape: BoxShape, size: number, random: Random): readonly Point[] {
  const angle = random.range(0, 2 * Math.PI)
  const turned = UNIT_OUTLINES[shape].map(({ x, y }) => ({
    x: x * Math.cos(angle) - y * Math.sin(angle),
    y: x * Math.sin(angle) + y * Math.cos(angle),
  }))
  return scaleTo(turned, size)
}

/** An irregular closed outline for segmentation categories. */
export function blobOutline(size: number, random: Random): readonly Point[] {
  const points = Array.from({ length: 14 }, (_, i) => polar((i / 14) * 2 * Math.PI, random.range(0.55, 1)))
  return scaleTo(points, size)
}

export function move(points: readonly Point[], by: Point): readonly Point[] {
  return points.map(({ x, y }) => ({ x: x + by.x, y: y + by.y }))
}

/** The smallest box of whole pixels around an outline. */
export function boundsOf(points: readonly Point[]): Box {
  const x = Math.floor(Math.min(...points.map((point) => point.x)) + 1e-6)
  const y = Math.floor(Math.min(...points.map((point) => point.y)) + 1e-6)
  const right = Math.ceil(Math.max(...points.map((point) => point.x)) - 1e-6)
  const bottom = Math.ceil(Math.max(...points.map((point) => point.y)) - 1e-6)
  return { x, y, width: right - x, height: bottom - y }
}

/** The share of the smaller box that the other one covers, 0…1. */
export function coverage(a: Box, b: Box): number {
  const shared = intersectionOf(a, b)
  return shared <= 0 ? 0 : shared / Math.min(a.width * a.height, b.width * b.height)
}

function scaleTo(points: readonly Point[], size: number): readonly Point[] {
  const left = Math.min(...points.map(({ x }) => x))
  const top = Math.min(...points.map(({ y }) => y))
  const extent = Math.max(...points.map(({ x }) => x - left), ...points.map(({ y }) => y - top))
  return points.map(({ x, y }) => ({ x: ((x - left) / extent) * size, y: ((y - top) / extent) * size }))
}

function polar(angle: number, radius: number): Point {
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) }
}

function regular(corners: number): readonly Point[] {
  return Array.from({ length: corners }, (_, i) => polar((i / corners) * 2 * Math.PI, 1))
}

function star(): readonly Point[] {
  return Array.from({ length: 10 }, (_, i) => polar((i / 10) * 2 * Math.PI, i % 2 === 0 ? 1 : 0.42))
}

const UNIT_OUTLINES: Record<BoxShape, readonly Point[]> = {
  circle: regular(72),
  square: regular(4),
  triangle: regular(3),
  star: star(),
  diamond: [polar(0, 1), polar(Math.PI / 2, 0.5), polar(Math.PI, 1), polar(-Math.PI / 2, 0.5)],
  hexagon: regular(6),
  arrow: outline([-1, -0.25, 0.1, -0.25, 0.1, -0.7, 1, 0, 0.1, 0.7, 0.1, 0.25, -1, 0.25]),
  plus: outline([
    -0.3, -1, 0.3, -1, 0.3, -0.3, 1, -0.3, 1, 0.3, 0.3, 0.3, 0.3, 1, -0.3, 1, -0.3, 0.3, -1, 0.3, -1, -0.3, -0.3, -0.3,
  ]),
}

function outline(numbers: readonly number[]): readonly Point[] {
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({ x: numbers[2 * i] ?? 0, y: numbers[2 * i + 1] ?? 0 }))
}
