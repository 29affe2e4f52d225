import { readFile } from 'node:fs/promises'
import type { ImageSize } from '../image-size.js'
import { type Fit, LETTERBOX_GREY, placementOn, type Shown, shownOn } from '../placement.js'
import { type AxisTaps, axisTaps } from './axis-taps.js'

/** Brings RGB rows to float planes in 0…1, with memory of its own that it uses again for the next image. */
export type RgbResizer = {
  /** Lets `write` put the RGB rows of the image into memory, and fills `target`; false if `write` answers false. */
  fill(image: ImageSize, input: Input, target: Float32Array, write: (rows: Uint8Array) => boolean): boolean
}

type Input = ImageSize & { readonly fit: Fit }

type Kernel = {
  sumRows(out: number, rows: number, stride: number, taps: number, weights: number, bytes: number): void
  sumColumns(
    ...where: [out: number, plane: number, row: number, starts: number, weights: number, pairs: number, count: number]
  ): void
}

const PAGE = 65_536
/** More memory than this is given back after the image. */
const KEPT_BYTES = 64 * 2 ** 20
/** The kernel reads and writes up to this much beyond the end. */
const SLACK = 32
const ROW_TOTAL = 256
const COLUMN_TOTAL = 16_384

/** Compiles the kernel; undefined on a processor that cannot run it. */
export async function loadRgbResizer(): Promise<RgbResizer | undefined> {
  const code = await readFile(new URL('kernel.wasm', import.meta.url))
  return WebAssembly.validate(code) ? new KernelResizer(new WebAssembly.Module(code)) : undefined
}

class KernelResizer implements RgbResizer {
  readonly #module: WebAssembly.Module
  #bench: Bench | undefined
  #plan: Plan | undefined

  constructor(module: WebAssembly.Module) {
    this.#module = module
  }

  fill(image: ImageSize, input: Input, target: Float32Array, write: (rows: Uint8Array) => boolean): boolean {
    this.#bench ??= openBench(this.#module)
    const { memory, kernel } = this.#bench
    if (this.#plan === undefined || !isFor(this.#plan, image, input)) {
      this.#plan = planFor(image, input)
      layOut(this.#plan, memory)
    }
    const { at, rowBytes, planeFloats } = this.#plan
    try {
      if (!write(new Uint8Array(memory.buffer, at.rows, rowBytes * image.height))) return false
      run(this.#plan, kernel)
      target.set(new Float32Array(memory.buffer, at.planes, 3 * planeFloats))
      return true
    } finally {
      if (memory.buffer.byteLength > KEPT_BYTES) this.#clear()
    }
  }

  #clear(): void {
    this.#bench = undefined
    this.#plan = undefined
  }
}

type Bench = { readonly memory: WebAssembly.Memory; readonly kernel: Kernel }

function openBench(module: WebAssembly.Module): Bench {
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { exports } = new WebAssembly.Instance(module, { loopfleet: { memory } })
  return { memory, kernel: exports as Kernel } // what kernel.wat exports
}

/** What is done for images of one size, and where in memory its parts lie. */
type Plan = {
  readonly image: ImageSize
  readonly input: Input
  readonly shown: Shown
  readonly columns: AxisTaps
  readonly rows: AxisTaps
  readonly rowBytes: number
  readonly planeFloats: number
  readonly at: Places
  readonly bytes: number
}

type Places = Readonly<Record<'starts' | 'columnWeights' | 'rowWeights' | 'line' | 'planes' | 'rows', number>>

function planFor(image: ImageSize, input: Input): Plan {
  const shown = shownOn(image, input)
  const { scaleX, scaleY, offsetX, offsetY } = placementOn(image, input)
  const [x, y] = [offsetX - shown.left, offsetY - shown.top]
  const columns = axisTaps({ length: image.width, count: shown.width, scale: scaleX, offset: x }, COLUMN_TOTAL, true)
  const rows = axisTaps({ length: image.height, count: shown.height, scale: scaleY, offset: y }, ROW_TOTAL, false)
  const rowBytes = 3 * image.width
  const planeFloats = input.width * input.height
  let bytes = 0
  const place = (size: number) => {
    const begin = bytes
    bytes = Math.ceil((bytes + size + SLACK) / 16) * 16
    return begin
  }
  const at = {
    starts: place(columns.starts.byteLength),
    columnWeights: place(columns.weights.byteLength),
    rowWeights: place(rows.weights.byteLength),
    line: place(rowBytes),
    planes: place(12 * planeFloats),
    rows: place(rowBytes * image.height),
  }
  return { image, input, shown, columns, rows, rowBytes, planeFloats, at, bytes }
}

function isFor({ image, input }: Plan, newImage: ImageSize, newInput: Input): boolean {
  const isInput = input.width === newInput.width && input.height === newInput.height && input.fit === newInput.fit
  return isInput && image.width === newImage.width && image.height === newImage.height
}

function layOut({ columns, rows, planeFloats, at, bytes }: Plan, memory: WebAssembly.Memory): void {
  const missing = bytes - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
  const { buffer } = memory
  new Int32Array(buffer, at.starts, columns.starts.length).set(columns.starts.map((start) => 3 * start))
  new Int16Array(buffer, at.columnWeights, columns.weights.length).set(columns.weights)
  new Int16Array(buffer, at.rowWeights, rows.weights.length).set(rows.weights)
  new Float32Array(buffer, at.planes, 3 * planeFloats).fill(LETTERBOX_GREY) // the border stays so
}

function run({ input, shown, columns, rows, rowBytes, planeFloats, at }: Plan, kernel: Kernel): void {
  for (let y = 0; y < shown.height; y++) {
    const from = at.rows + (rows.starts[y] ?? 0) * rowBytes
    kernel.sumRows(at.line, from, rowBytes, rows.taps, at.rowWeights + 2 * y * rows.taps, rowBytes)
    const out = at.planes + 4 * ((y + shown.top) * input.width + shown.left)
    const pairs = columns.taps / 2
    kernel.sumColumns(out, 4 * planeFloats, at.line, at.starts, at.columnWeights, pairs, shown.width)
  }
}
