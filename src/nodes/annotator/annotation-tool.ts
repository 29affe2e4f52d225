import type { Category, SegmentationAnnotation } from '../../loop/protocol/index.js'

/** A place in an image: whole pixels from its top left corner, as the image is seen (turned as its EXIF data say). */
export type ImagePoint = { readonly x: number; readonly y: number }

/** What a person did in the Loop's image editor. */
export type AnnotationInput = {
  /** One of `annotationEventTypes`; the Loop may know more. */
  readonly eventType: string
  readonly coordinate: ImagePoint
  /** Where the pointer was since the input before, oldest first: moves that came too fast are merged into the last one. */
  readonly path: readonly ImagePoint[]
  readonly organization: string
  readonly project: string
  readonly imageId: string
  /** The image as JPEG on this machine. */
  readonly imagePath: string
  readonly category: Category
  readonly keyUp: string | null
  readonly keyDown: string | null
  /** How far the polygon may be off the outline, in pixels; null leaves it to the tool. */
  readonly epsilon: number | null
  readonly isShiftKeyPressed: boolean
}

/** What a tool answers: a drawing over the image, and the annotation when there is a new or a corrected one. */
export type ToolResult = {
  /** SVG elements in pixels of the image, without the `<svg>` around them; empty for nothing. */
  readonly svg: string
  /** The same id again corrects the annotation that has it. */
  readonly annotation?: SegmentationAnnotation
}

/**
 * An annotation tool. `History` is what it remembers of one user between inputs: made by `createHistory` on first use,
 * changed in place, and thrown away on Escape, on an error of the tool, on logout, and after a long silence.
 * Inputs of one user come one at a time; different users side by side.
 */
export type AnnotationTool<History = unknown> = {
  createHistory(): History
  /** The signal aborts when the user gives up; a later result is ignored. The message of a thrown error is sent to the user. */
  handleUserInput(
    input: AnnotationInput,
    history: History,
    options: { readonly signal: AbortSignal },
  ): ToolResult | Promise<ToolResult>
  /** The user has logged out; the returned value is sent to the Loop (true without this method). */
  logout?(frontendId: string): boolean
  /** Called once before the first input, for what takes long. */
  start?(): Promise<void>
  close?(): Promise<void>
}
