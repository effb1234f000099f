#include "native.h"

static int
fill(PyObject *module)
{
    State *state = PyModule_GetState(module);
    struct {
        const char *name; /* NULL for one that is made here alone. */
        PyType_Spec *spec;
        PyObject **kept;
    } types[] = {
        {"Intake", &intake_spec, NULL},
        {"AncestorsAmong", &ancestors_among_spec, NULL},
        {NULL, &route_spec, &state->route},
        {"Decider", &decider_spec, &state->decider},
        {"Shortcut", &shortcut_spec, NULL},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        if (type == NULL) {
            return -1;
        }
        int failed = types[i].name != NULL && PyModule_AddObjectRef(module, types[i].name, type) < 0;
        if (types[i].kept != NULL) {
            *types[i].kept = Py_NewRef(type);
        }
        Py_DECREF(type);
        if (failed) {
            return -1;
        }
    }
    state->type = PyUnicode_InternFromString("type");
    state->id = PyUnicode_InternFromString("id");
    if (state->type == NULL || state->id == NULL) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static int
visit_state(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->route);
    Py_VISIT(state->decider);
    return 0;
}

static int
clear_state(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->route);
    Py_CLEAR(state->decider);
    Py_CLEAR(state->type);
    Py_CLEAR(state->id);
    return 0;
}

static void
free_state(void *module)
{
    clear_state(module);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyMethodDef methods[] = {
    {"plain_texts", plain_texts, METH_O, "Whether a value is a plain list of plain texts."},
    {"plain_pairs", plain_pairs, METH_O, "Whether a value is a plain list of plain objects with two members each."},
    {"plain_document", (PyCFunction)(void (*)(void))plain_document, METH_FASTCALL,
     "Whether a value is a plain document of a type, and has no names but these, or any if they are None."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = visit_state,
    .m_clear = clear_state,
    .m_free = free_state,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
