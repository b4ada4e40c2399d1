// validate-manifests FOLDER reads objects of Kubernetes as YAML from standard input and judges each by its definition among
// the CustomResourceDefinitions in FOLDER, as an API server does that takes no unknown fields.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// definition gives the definition of a kind and version.
func definition(folder, kind, version string) (*apiextensions.CustomResourceValidation, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var found apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &found); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, one := range found.Spec.Versions {
			if found.Spec.Names.Kind == kind && found.Spec.Group+"/"+one.Name == version {
				var internal apiextensions.CustomResourceValidation
				err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
					one.Schema, &internal, nil)
				return &internal, err
			}
		}
	}
	return nil, fmt.Errorf("no definition of %s %s in %s", version, kind, folder)
}

// judge gives everything that is wrong with an object.
func judge(folder string, object map[string]interface{}) error {
	of := unstructured.Unstructured{Object: object}
	internal, err := definition(folder, of.GetKind(), of.GetAPIVersion())
	if err != nil {
		return err
	}
	structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return err
	}
	wrong := validation.ValidateCustomResource(nil, object, validator)
	rules, _ := cel.NewValidator(structural, true, 1_000_000).Validate(
		context.Background(), nil, structural, object, nil, 10_000_000)
	problems := append(wrong, rules...)
	for _, path := range pruning.PruneWithOptions(object, structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		problems = append(problems, field.Invalid(field.NewPath(path), "", "unknown field"))
	}
	return problems.ToAggregate()
}

func run(folder string) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		object := map[string]interface{}{}
		if err := yaml.UnmarshalStrict(document, &object); err != nil {
			return err
		}
		if err := judge(folder, object); err != nil {
			return err
		}
		of := unstructured.Unstructured{Object: object}
		fmt.Println("valid:", of.GetKind(), of.GetNamespace()+"/"+of.GetName())
	}
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
