export type InputSize = { readonly width: number; readonly height: number }

/** Pixels per cell of the grids that one model has side by side. */
const STRIDES: readonly (readonly number[])[] = [
  [8, 16, 32],
  [8, 16, 32, 64],
  [4, 8, 16, 32],
  [4, 8, 16],
  [4, 8, 16, 32, 64],
  [16, 32],
  [8, 16],
]

/** How many cells the grids of a YOLO model have in all, for each usual choice of grids. */
export function cellCounts({ width, height }: InputSize): number[] {
  const cells = (stride: number) => Math.ceil(width / stride) * Math.ceil(height / stride)
  return STRIDES.map((strides) => strides.reduce((sum, stride) => sum + cells(stride), 0))
}
