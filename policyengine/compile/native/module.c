#include "native.h"

static int
fill(PyObject *module)
{
    struct {
        const char *name;
        PyType_Spec *spec;
    } types[] = {{"Intake", &intake_spec}, {"AncestorsAmong", &ancestors_among_spec}, {"Shortcut", &shortcut_spec}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        int failed = type == NULL || PyModule_AddObjectRef(module, types[i].name, type) < 0;
        Py_XDECREF(type);
        if (failed) {
            return -1;
        }
    }
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyMethodDef methods[] = {
    {"plain_texts", plain_texts, METH_O, "Whether a value is a plain list of plain texts."},
    {"plain_pairs", plain_pairs, METH_O, "Whether a value is a plain list of plain objects with two members each."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
