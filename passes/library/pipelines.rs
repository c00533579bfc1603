//! The named pipelines, as lists with the reason for each place.
use weft_passes::PipelineInfo;

/// All of them; each is made of passes and of pipelines before it.
pub const ALL: &[PipelineInfo] = &[
    PipelineInfo {
        name: "O0",
        summary: "only what later stages need",
        steps: &[
            // Types first: everything else asks for shapes. Branches may differ in rank, and which
            // one is taken often hangs on a shape.
            "fixpoint(propagate-shapes,inline-constant-if)",
            "canonicalize",
            "dead-code",
        ],
    },
    PipelineInfo {
        name: "clean",
        summary: "constants, copies and operators without effect",
        steps: &[
            // Folding shows more identities, these more equal nodes, and these more constants. Regions
            // are cleaned like every graph once their constants are within.
            "fixpoint(propagate-shapes,fold-constants,inline-constant-if,capture-constants,identities,merge-reshapes,merge-slices,cancel-transposes,common-subexpressions,dead-code)",
        ],
    },
    PipelineInfo {
        name: "O1",
        summary: "what makes every model smaller and none slower",
        steps: &[
            "O0",
            // Whole expressions in double precision, and by name, before folding takes them apart; all
            // that draws something into weights, and quantisation, needs them to be there.
            "fixpoint(capture-constants,fold-weight-expressions)",
            "clean",
            // Constant weights are there now, and nothing is drawn into one of several products yet.
            "merge-adapters",
            // Batch normalisations first: what is left of them is scales and biases.
            "fold-batch-norm",
            "fold-scale-and-bias",
            "fold-pads",
            "clean",
        ],
    },
    PipelineInfo {
        name: "simplify",
        summary: "what makes a model smaller and faster in other runtimes, too; no layouts",
        steps: &[
            "O1",
            // Names for what was written out; after scales are folded, which would hide in them.
            "recognise-layer-norm",
            "recognise-rms-norm",
            "recognise-gelu",
            "recognise-hard-swish",
            "recognise-hard-sigmoid",
            // After slices of slices are one.
            "split-slices",
            "clean",
        ],
    },
    PipelineInfo {
        name: "recognise",
        summary: "every operator by its name; layouts as they came",
        steps: &[
            "simplify",
            // Weights of few bits in the form that products read as it is; other runtimes know theirs.
            "unpack-matmul-n-bits",
            "transpose-codes",
            // Other runtimes take these apart again, and run the parts less well than those before.
            "recognise-group-norm",
            "recognise-silu",
            // Their own attention looks for the copies.
            "stack-rows",
            // `recognise-attention` waits for a backend with a kernel for it.
            "clean",
        ],
    },
    PipelineInfo {
        name: "layouts",
        summary: "channels where processors want them",
        steps: &[
            "channels-last{norms=true}",
            "fixpoint(sink-transposes,cancel-transposes)",
            // Sinking turns constants and leaves reshapes.
            "clean",
        ],
    },
    PipelineInfo {
        name: "O2",
        summary: "every exact pass that takes what it sees",
        steps: &[
            "recognise",
            // Operators have their names now; layouts come last, as they hide shapes behind transposes.
            "layouts",
        ],
    },
    PipelineInfo {
        name: "O3",
        summary: "O2 with a search for the cheapest of many forms",
        steps: &[
            "recognise",
            // Between names and layouts: the forms of named operators are the ones whose cost is
            // known, and rules about convolutions speak of channels in front. What it merges of
            // weights is folded behind it.
            "saturate",
            "clean",
            "layouts",
        ],
    },
];
