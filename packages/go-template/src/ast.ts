/** The tree of a template, as Go's text/template/parse has it. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value in a command: literal, field chain, variable, function or parenthesised pipeline. */
export type Operand =
  | {
      readonly kind: 'literal';
      readonly value: string | number | boolean | null;
      readonly source: string;
      readonly at: Position;
    }
  | { readonly kind: 'dot'; readonly source: string; readonly at: Position }
  | { readonly kind: 'field'; readonly names: readonly string[]; readonly source: string; readonly at: Position }
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly names: readonly string[];
      readonly source: string;
      readonly at: Position;
    }
  | { readonly kind: 'function'; readonly name: string; readonly source: string; readonly at: Position }
  | {
      readonly kind: 'pipe';
      readonly pipe: Pipe;
      readonly names: readonly string[];
      readonly source: string;
      readonly at: Position;
    };

export interface Command {
  readonly operands: readonly Operand[];
}

export interface Pipe {
  /** Variables set by the pipeline: one, or index and element of a range. */
  readonly variables: readonly string[];
  readonly isDeclaration: boolean;
  readonly commands: readonly Command[];
  readonly at: Position;
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | undefined; readonly at: Position }
  | { readonly kind: 'break' | 'continue' };

export interface Tree {
  readonly body: readonly Node[];
  readonly templates: ReadonlyMap<string, readonly Node[]>;
}
